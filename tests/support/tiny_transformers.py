"""Tiny networks of transformers with random weights, saved as their checkpoints are."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging

CONVOLUTIONS = {"conv_dim": [8, 8, 8], "conv_kernel": [10, 8, 4], "conv_stride": [5, 8, 4]}
"""One frame every 160 samples, of a receptive field of 165."""
LAYERS = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
CHUNK_SECONDS = 2
WHISPER = {
    "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
    "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
    "vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "max_source_positions": 50 * CHUNK_SECONDS,
}  # fmt: skip

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2 base": ("Wav2Vec2Model", {}),
    "wav2vec2 large": ("Wav2Vec2Model", STABLE),
    "hubert base": ("HubertModel", {}),
    "hubert large": ("HubertModel", STABLE),
    "wavlm base": ("WavLMModel", {}),
    "wavlm large": ("WavLMModel", STABLE),
    "data2vec": ("Data2VecAudioModel", {}),
    "unispeech": ("UniSpeechModel", {}),
    "unispeech-sat": ("UniSpeechSatModel", STABLE),
    "whisper": ("WhisperModel", {}),
}
"""Name → class and what is special in its configuration."""


def save(folder: Path, name: str, **other: Any) -> Path:
    """Save one of `NETWORKS`, with ``other`` settings in its configuration."""
    class_name, special = NETWORKS[name]
    network_class = getattr(transformers, class_name)
    common = WHISPER if name == "whisper" else {**CONVOLUTIONS, **LAYERS}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = network_class(network_class.config_class(**{**common, **special, **other}))
        for parameter in network.parameters():
            # Fresh biases are 0 and fresh scales 1, which would hide that one is left out.
            parameter.data += 0.1 * torch.randn_like(parameter)
    save_network(folder, network)
    if name == "whisper":
        extractor = transformers.WhisperFeatureExtractor(chunk_length=CHUNK_SECONDS)
    else:
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize="large" in name)
    extractor.save_pretrained(folder)
    return folder


def save_network(folder: Path, network: Any) -> None:
    """``save_pretrained`` without its progress bar."""
    logging.disable_progress_bar()
    network.save_pretrained(folder)
    logging.enable_progress_bar()
