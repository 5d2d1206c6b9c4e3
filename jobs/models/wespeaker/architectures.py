"""WeSpeaker's architectures and their taps, in one table.

To add an architecture, add its name to the ``names`` of its group. To add a group, list its
tap patterns in the order in which the forward pass reaches them, such as

    ArchitectureGroup(
        "resnet", ("ResNet18", "ResNet34"), min_frames=9,
        patterns=(
            at("layer1", "stem", "input"),                         # input of the first block
            TapPattern("layer*.*", (                               # for each block of each layer:
                TapPoint("layer{0}.{1}.relu1", "conv2", "input"),  # output of its first ReLU
                TapPoint("layer{0}.{1}.relu2"),                    # output of the block
            )),
            *HEAD,
        ),
    )

A star matches one part of a module's dotted path; ``{0}`` is the match of the first star. Choose
modules that run once in a pass: the output of a shared ReLU is read as the input of the next
convolution. A value is pooled as soon as it is computed, so later in-place changes do no harm. The
last tap is WeSpeaker's embedding (the last item if its network returns several), and is called
``embedding``. Of the points of a pattern, the last is the output of the block and the others are
inside it, unless their ``level`` says otherwise; single taps of ``at`` are between blocks, or
before or after all of them (`jobs.models.taps.TapLevel`).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.models.errors import ModelError
from jobs.models.tap_patterns import TapPattern, TapPoint, at


@dataclass(frozen=True)
class ArchitectureGroup:
    """Architectures with the same taps."""

    source: str
    """Module of ``wespeaker.models``."""
    names: tuple[str, ...]
    """Names of the classes or functions that build them, as in ``model`` of a ``config.yaml``."""
    min_frames: int
    """Minimum frames of input for which every value is finite with every pooling: a standard
    deviation over time needs two frames after all strides."""
    patterns: tuple[TapPattern, ...]
    """In depth order."""


HEAD = (at("pool", "pooling"), at("seg_1", "segment1"), at("seg_2", "segment2"))
"""Pooling and one or two embedding layers."""

_SIMAM = (
    at("front.relu", "stem", study="first relu"),
    TapPattern(
        "front.layer*.*",
        (
            TapPoint("layer{0}.{1}.relu1", "conv2", "input", "layer{0} relu #"),
            # Output of SimAM, before the residual is added.
            TapPoint("layer{0}.{1}.simam", "", "SimAM", "layer{0} SimAM #"),
            TapPoint("layer{0}.{1}.relu2", "", "output", "layer{0} relu #"),
        ),
    ),
    at("pooling", "pooling"),
    at("bottleneck", "embedding"),
)
_RESNET_BASIC = (
    at("layer1", "stem", "input"),
    TapPattern(
        "layer*.*",
        (TapPoint("layer{0}.{1}.relu1", "conv2", "input"), TapPoint("layer{0}.{1}.relu2")),
    ),
    *HEAD,
)
_RESNET_BOTTLENECK = (
    at("layer1", "stem", "input"),
    TapPattern(
        "layer*.*",
        (
            TapPoint("layer{0}.{1}.relu1", "conv2", "input"),
            TapPoint("layer{0}.{1}.relu2", "conv3", "input"),
            TapPoint("layer{0}.{1}.relu3"),
        ),
    ),
    *HEAD,
)
# For each Res2Net block: its concatenated scales, and its output.
_RES2_LAYER1, _RES2_LAYER2, _RES2_LAYER3, _RES2_LAYER4 = (
    TapPattern(
        f"layer{layer}.*",
        (
            TapPoint(f"layer{layer}.{{0}}.res2", "conv3", "input"),
            TapPoint(f"layer{layer}.{{0}}.relu"),
        ),
    )
    for layer in (1, 2, 3, 4)
)
_RES2NET = (
    at("layer1", "stem", "input"),
    _RES2_LAYER1,
    _RES2_LAYER2,
    _RES2_LAYER3,
    _RES2_LAYER4,
    *HEAD,
)
_ERES2NET = (
    at("layer1", "stem", "input"),
    _RES2_LAYER1,
    _RES2_LAYER2,
    at("fuse_mode12", "fuse12"),
    _RES2_LAYER3,
    at("fuse_mode123", "fuse123"),
    _RES2_LAYER4,
    at("fuse_mode1234", "fuse1234"),
    *HEAD,
)
_REPVGG = (
    at("stage0", "stem"),
    *(TapPattern(f"stage{stage}.*", (TapPoint(f"stage{stage}.{{0}}"),)) for stage in (1, 2, 3, 4)),
    at("pool", "pooling"),
    at("seg", "embedding"),
)
_GEMINI = (
    at("downsample_layers.0", "stem"),
    *(
        pattern
        for stage in (1, 2, 3, 4)
        for pattern in (
            at(f"downsample_layers.{stage}", f"downsample{stage}"),
            TapPattern(
                f"stages.{stage - 1}.*",
                (
                    TapPoint(f"stage{stage}.{{0}}.relu1", "conv2", "input"),
                    TapPoint(f"stage{stage}.{{0}}.relu2", "conv3", "input"),
                    TapPoint(f"stage{stage}.{{0}}.relu3"),
                ),
            ),
        )
    ),
    *HEAD,
)
_ECAPA = (
    at("layer1", "layer1"),
    *(
        TapPattern(
            f"layer{layer}",
            (
                TapPoint(f"layer{layer}.conv1", "se_res2block.0"),
                TapPoint(f"layer{layer}.res2", "se_res2block.1"),
                TapPoint(f"layer{layer}.conv2", "se_res2block.2"),
                TapPoint(f"layer{layer}.se", "se_res2block.3"),
                TapPoint(f"layer{layer}"),
            ),
        )
        for layer in (2, 3, 4)
    ),
    at("pool", "mfa", "input"),  # multi-layer feature aggregation: layers 2 to 4 concatenated
    at("pool", "pooling"),
    at("linear", "segment1"),
    at("bn2", "segment2"),
)
_XVECTOR = (TapPattern("frame_*", (TapPoint("frame{0}"),)), *HEAD)
_CAMPPLUS = (
    at("head.layer1", "stem", "input"),
    TapPattern(
        "head.layer*.*",
        (
            TapPoint("head.layer{0}.{1}.relu1", "conv2", "input"),
            TapPoint("head.layer{0}.{1}.relu2"),
        ),
    ),
    at("head", "head"),
    at("xvector.tdnn", "tdnn"),
    *(
        pattern
        for block in (1, 2, 3)
        for pattern in (
            # Each layer of a dense block appends its output; the block's output has them all.
            TapPattern(
                f"xvector.block{block}.tdnnd*",
                (TapPoint(f"block{block}.{{0}}", level="inside a block"),),
            ),
            at(f"xvector.block{block}", f"block{block}", level="block output"),
            at(f"xvector.transit{block}", f"transit{block}"),
        )
    ),
    at("xvector.out_nonlinear", "out"),
    at("xvector.stats", "pooling"),
    at("xvector.dense", "embedding"),
)
_REDIMNET = (
    at("backbone.stem", "stem"),
    TapPattern(
        "backbone.stage*.*",
        (TapPoint("stage{0}.{1}"),),
        ("ConvBlock2d", "TimeContextBlock1d"),
    ),
    at("backbone", "mfa"),  # the weighted sum of all stages
    *HEAD,
)

GROUPS: tuple[ArchitectureGroup, ...] = (
    ArchitectureGroup("samresnet", ("SimAM_ResNet34_ASP", "SimAM_ResNet100_ASP"), 1, _SIMAM),
    ArchitectureGroup("resnet", ("ResNet18", "ResNet34"), 9, _RESNET_BASIC),
    ArchitectureGroup(
        "resnet",
        ("ResNet50", "ResNet101", "ResNet152", "ResNet221", "ResNet293"),
        9,
        _RESNET_BOTTLENECK,
    ),
    ArchitectureGroup(
        "ecapa_tdnn",
        (
            "ECAPA_TDNN", "ECAPA_TDNN_c512", "ECAPA_TDNN_c1024",
            "ECAPA_TDNN_GLOB_c512", "ECAPA_TDNN_GLOB_c1024",
        ),
        2,
        _ECAPA,
    ),
    ArchitectureGroup("campplus", ("CAMPPlus",), 3, _CAMPPLUS),
    ArchitectureGroup(
        "eres2net",
        ("ERes2Net", "ERes2Net34_Base", "ERes2Net34_Large", "ERes2Net34_aug"),
        9,
        _ERES2NET,
    ),
    ArchitectureGroup("res2net", ("Res2Net", "Res2Net34_Base", "Res2Net34_Large"), 9, _RES2NET),
    ArchitectureGroup(
        "repvgg",
        (
            "REPVGG_TINY_A0", "REPVGG_TINY_RSBB_A0", "REPVGG_A0", "REPVGG_RSBB_A0", "REPVGG_A1",
            "REPVGG_A2", "REPVGG_RSBB_A2", "REPVGG_B0", "REPVGG_RSBB_B0", "REPVGG_B1",
            "REPVGG_B1g2", "REPVGG_B1g4", "REPVGG_B2", "REPVGG_B2g2", "REPVGG_B2g4", "REPVGG_B3",
            "REPVGG_B3g2", "REPVGG_B3g4", "REPVGG_D2SE",
        ),
        9,
        _REPVGG,
    ),
    ArchitectureGroup(
        "gemini_dfresnet",
        (
            "Gemini_DF_ResNet", "Gemini_DF_ResNet60", "Gemini_DF_ResNet114",
            "Gemini_DF_ResNet183", "Gemini_DF_ResNet237",
        ),
        3,
        _GEMINI,
    ),
    ArchitectureGroup("tdnn", ("XVEC",), 16, _XVECTOR),
    ArchitectureGroup("xi_vector", ("XI_VEC_XVEC",), 16, _XVECTOR),
    ArchitectureGroup(
        "xi_vector", ("XI_VEC_ECAPA_TDNN_c512", "XI_VEC_ECAPA_TDNN_c1024"), 2, _ECAPA
    ),
    ArchitectureGroup(
        "redimnet",
        (
            "ReDimNet", "ReDimNetB0", "ReDimNetB1", "ReDimNetB2", "ReDimNetB3", "ReDimNetB4",
            "ReDimNetB5", "ReDimNetB6",
        ),
        2,
        _REDIMNET,
    ),
)  # fmt: skip

ARCHITECTURES: Mapping[str, ArchitectureGroup] = {
    name: group for group in GROUPS for name in group.names
}
"""Architecture → its group."""

OTHER_FRONT_ENDS: Mapping[str, str] = {
    "whisper_PMFA": "whisper_encoder",
    "W2VBert_Adapter_MFA": "w2vbert",
    "ReDimNet2": "tfmel",
}
"""Prefix of the names of WeSpeaker's other architectures → the front end that they require."""


def find_group(architecture: str) -> ArchitectureGroup:
    """Return the group of ``architecture``.

    Raises:
        ModelError: it is not in `ARCHITECTURES`; the message has the nearest names.
    """
    if architecture not in ARCHITECTURES:
        raise ModelError(unknown_architecture(architecture))
    return ARCHITECTURES[architecture]


def unknown_architecture(architecture: str) -> str:
    """Return a message saying why ``architecture`` is not in `ARCHITECTURES`, with valid names."""
    for prefix, front_end in OTHER_FRONT_ENDS.items():
        if architecture.startswith(prefix):
            return (
                f"{architecture} runs on WeSpeaker's front end {front_end!r}: expected an "
                "architecture that takes fbank features"
            )
    near = difflib.get_close_matches(architecture, ARCHITECTURES, n=3, cutoff=0.0)
    return (
        f"unknown architecture {architecture!r}: expected one of WeSpeaker's that take fbank "
        f"features; nearest: {', '.join(near)}"
    )
