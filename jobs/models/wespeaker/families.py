"""WeSpeaker's architectures, and where each is read: the one table.

To add an architecture, add its name to the ``names`` of its family. To add a family, list its
places in the order in which the forward pass reaches them, such as

    Family(
        "resnet", ("ResNet18", "ResNet34"), min_frames=9,
        places=(
            at("layer1", "stem", "input"),                # what goes into the first block
            Place("layer*.*", (                           # in every block of every layer:
                Point("layer{0}.{1}.relu1", "conv2", "input"),    # what its first ReLU made
                Point("layer{0}.{1}.relu2"),                      # its output
            )),
            *HEAD,
        ),
    )

A star stands for one part of a module's dotted path; ``{0}`` is what the first one stands for.
Point at modules that run once a pass: what a shared ReLU makes is the input of the next
convolution. The value is pooled when it is reached, so that what changes it in place later does no
harm. The last tap is WeSpeaker's embedding (the last item where its network returns several), and
is named so.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.models.model import ModelError
from jobs.models.places import Place, Point, at


@dataclass(frozen=True)
class Family:
    """Architectures that are read at the same places."""

    source: str
    """Module of ``wespeaker.models``."""
    names: tuple[str, ...]
    """Of what builds them, as in the ``model`` of a ``config.yaml``."""
    min_frames: int
    """Fewest frames of input with which every value is finite, whatever the pooling: a deviation
    over time needs two frames after all strides."""
    places: tuple[Place, ...]
    """In depth order."""


HEAD = (at("pool", "pooling"), at("seg_1", "segment1"), at("seg_2", "segment2"))
"""Pooling and one or two embedding layers."""

_SIMAM = (
    at("front.relu", "stem", study="first relu"),
    Place(
        "front.layer*.*",
        (
            Point("layer{0}.{1}.relu1", "conv2", "input", "layer{0} relu #"),
            # The result of SimAM, before the residual is added.
            Point("layer{0}.{1}.simam", "", "SimAM", "layer{0} SimAM #"),
            Point("layer{0}.{1}.relu2", "", "output", "layer{0} relu #"),
        ),
    ),
    at("pooling", "pooling"),
    at("bottleneck", "embedding"),
)
_RESNET_BASIC = (
    at("layer1", "stem", "input"),
    Place(
        "layer*.*",
        (Point("layer{0}.{1}.relu1", "conv2", "input"), Point("layer{0}.{1}.relu2")),
    ),
    *HEAD,
)
_RESNET_BOTTLENECK = (
    at("layer1", "stem", "input"),
    Place(
        "layer*.*",
        (
            Point("layer{0}.{1}.relu1", "conv2", "input"),
            Point("layer{0}.{1}.relu2", "conv3", "input"),
            Point("layer{0}.{1}.relu3"),
        ),
    ),
    *HEAD,
)
# Of each Res2Net block: its scales, joined, and its output.
_RES2_LAYER1, _RES2_LAYER2, _RES2_LAYER3, _RES2_LAYER4 = (
    Place(
        f"layer{layer}.*",
        (Point(f"layer{layer}.{{0}}.res2", "conv3", "input"), Point(f"layer{layer}.{{0}}.relu")),
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
    *(Place(f"stage{stage}.*", (Point(f"stage{stage}.{{0}}"),)) for stage in (1, 2, 3, 4)),
    at("pool", "pooling"),
    at("seg", "embedding"),
)
_GEMINI = (
    at("downsample_layers.0", "stem"),
    *(
        place
        for stage in (1, 2, 3, 4)
        for place in (
            at(f"downsample_layers.{stage}", f"downsample{stage}"),
            Place(
                f"stages.{stage - 1}.*",
                (
                    Point(f"stage{stage}.{{0}}.relu1", "conv2", "input"),
                    Point(f"stage{stage}.{{0}}.relu2", "conv3", "input"),
                    Point(f"stage{stage}.{{0}}.relu3"),
                ),
            ),
        )
    ),
    *HEAD,
)
_ECAPA = (
    at("layer1", "layer1"),
    *(
        Place(
            f"layer{layer}",
            (
                Point(f"layer{layer}.conv1", "se_res2block.0"),
                Point(f"layer{layer}.res2", "se_res2block.1"),
                Point(f"layer{layer}.conv2", "se_res2block.2"),
                Point(f"layer{layer}.se", "se_res2block.3"),
                Point(f"layer{layer}"),
            ),
        )
        for layer in (2, 3, 4)
    ),
    at("pool", "mfa", "input"),  # multi-layer feature aggregation: layers 2 to 4 joined
    at("pool", "pooling"),
    at("linear", "segment1"),
    at("bn2", "segment2"),
)
_XVECTOR = (Place("frame_*", (Point("frame{0}"),)), *HEAD)
_CAMPPLUS = (
    at("head.layer1", "stem", "input"),
    Place(
        "head.layer*.*",
        (Point("head.layer{0}.{1}.relu1", "conv2", "input"), Point("head.layer{0}.{1}.relu2")),
    ),
    at("head", "head"),
    at("xvector.tdnn", "tdnn"),
    *(
        place
        for block in (1, 2, 3)
        for place in (
            Place(f"xvector.block{block}.tdnnd*", (Point(f"block{block}.{{0}}"),)),
            at(f"xvector.block{block}", f"block{block}"),
            at(f"xvector.transit{block}", f"transit{block}"),
        )
    ),
    at("xvector.out_nonlinear", "out"),
    at("xvector.stats", "pooling"),
    at("xvector.dense", "embedding"),
)
_REDIMNET = (
    at("backbone.stem", "stem"),
    Place(
        "backbone.stage*.*",
        (Point("stage{0}.{1}"),),
        ("ConvBlock2d", "TimeContextBlock1d"),
    ),
    at("backbone", "mfa"),  # the weighted sum of all stages
    *HEAD,
)

FAMILIES: tuple[Family, ...] = (
    Family("samresnet", ("SimAM_ResNet34_ASP", "SimAM_ResNet100_ASP"), 1, _SIMAM),
    Family("resnet", ("ResNet18", "ResNet34"), 9, _RESNET_BASIC),
    Family(
        "resnet",
        ("ResNet50", "ResNet101", "ResNet152", "ResNet221", "ResNet293"),
        9,
        _RESNET_BOTTLENECK,
    ),
    Family(
        "ecapa_tdnn",
        (
            "ECAPA_TDNN", "ECAPA_TDNN_c512", "ECAPA_TDNN_c1024",
            "ECAPA_TDNN_GLOB_c512", "ECAPA_TDNN_GLOB_c1024",
        ),
        2,
        _ECAPA,
    ),
    Family("campplus", ("CAMPPlus",), 3, _CAMPPLUS),
    Family(
        "eres2net",
        ("ERes2Net", "ERes2Net34_Base", "ERes2Net34_Large", "ERes2Net34_aug"),
        9,
        _ERES2NET,
    ),
    Family("res2net", ("Res2Net", "Res2Net34_Base", "Res2Net34_Large"), 9, _RES2NET),
    Family(
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
    Family(
        "gemini_dfresnet",
        (
            "Gemini_DF_ResNet", "Gemini_DF_ResNet60", "Gemini_DF_ResNet114",
            "Gemini_DF_ResNet183", "Gemini_DF_ResNet237",
        ),
        3,
        _GEMINI,
    ),
    Family("tdnn", ("XVEC",), 16, _XVECTOR),
    Family("xi_vector", ("XI_VEC_XVEC",), 16, _XVECTOR),
    Family("xi_vector", ("XI_VEC_ECAPA_TDNN_c512", "XI_VEC_ECAPA_TDNN_c1024"), 2, _ECAPA),
    Family(
        "redimnet",
        (
            "ReDimNet", "ReDimNetB0", "ReDimNetB1", "ReDimNetB2", "ReDimNetB3", "ReDimNetB4",
            "ReDimNetB5", "ReDimNetB6",
        ),
        2,
        _REDIMNET,
    ),
)  # fmt: skip

ARCHITECTURES: Mapping[str, Family] = {name: family for family in FAMILIES for name in family.names}
"""Name → its family."""

OTHER_FRONT_ENDS: Mapping[str, str] = {
    "whisper_PMFA": "whisper_encoder",
    "W2VBert_Adapter_MFA": "w2vbert",
    "ReDimNet2": "tfmel",
}
"""How the names of WeSpeaker's other architectures begin → the front end that they run on."""


def find_family(architecture: str) -> Family:
    """The family of ``architecture``.

    Raises:
        ModelError: it is none of `ARCHITECTURES`; the message has the nearest names.
    """
    if architecture not in ARCHITECTURES:
        raise ModelError(why_not(architecture))
    return ARCHITECTURES[architecture]


def why_not(architecture: str) -> str:
    """Why ``architecture`` is none of `ARCHITECTURES`, and what would be."""
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
