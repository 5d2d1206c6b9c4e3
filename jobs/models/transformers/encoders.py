"""Encoders from ``transformers`` behind one interface: waveforms, alone or padded with lengths.

Legend: B utterances, N samples, C channels, T frames, F mel bins, D width.
"""

import warnings
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.amp import is_autocast_available
from torch.nn import functional


class TimeNorm(nn.GroupNorm):
    """Normalisation of each channel over time, (B, C, T), over valid frames only if padded."""

    n_frames: Tensor | None = None
    """(B,) number of valid frames of each row; None: all."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, T) over T; padding frames become 0."""
        if self.n_frames is None:
            return super().forward(input)
        # Sum in float32, as group normalisation does under autocast.
        input = input.float()
        n_B11 = self.n_frames[:, None, None]
        own_B1T = torch.arange(input.shape[2], device=input.device) < n_B11
        mean_BC1 = (input * own_B1T).sum(dim=2, keepdim=True) / n_B11
        centred = (input - mean_BC1) * own_B1T
        variance_BC1 = centred.square().sum(dim=2, keepdim=True) / n_B11
        normal = centred * torch.rsqrt(variance_BC1 + self.eps)
        return (normal * self.weight[:, None] + self.bias[:, None]) * own_B1T


class WaveformEncoder(nn.Module):
    """A network on waveforms (wav2vec 2.0 and relatives), exact on padded batches.

    The base models of these families normalise the first convolution's output over time, where
    padding would change every frame. transformers accepts this; `TimeNorm` prevents it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        if hasattr(network, "masked_spec_embed"):
            # Masks frames in training only, and not every checkpoint has it.
            del network.masked_spec_embed
        first = network.get_submodule("feature_extractor.conv_layers.0")
        conv = first.get_submodule("conv")
        assert isinstance(conv, nn.Conv1d)
        self._kernel, self._stride = conv.kernel_size[0], conv.stride[0]
        self._norm: TimeNorm | None = None
        norm = getattr(first, "layer_norm", None)
        if isinstance(norm, nn.GroupNorm):
            assert norm.num_groups == norm.num_channels, "a group is one channel"
            self._norm = TimeNorm(norm.num_groups, norm.num_channels, norm.eps)
            self._norm.weight, self._norm.bias = norm.weight, norm.bias
            first.layer_norm = self._norm

    def forward(self, wave_BN: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Compute (B, T, D) from (B, N); ``lengths_B`` is the number of valid samples per row."""
        if self._norm is not None:
            self._norm.n_frames = (
                None if lengths_B is None else (lengths_B - self._kernel) // self._stride + 1
            )
        if lengths_B is None:
            alone_BTD: Tensor = self.network(wave_BN).last_hidden_state
            return alone_BTD
        own_BN = torch.arange(wave_BN.shape[1], device=wave_BN.device) < lengths_B[:, None]
        with warnings.catch_warnings():
            # WavLM passes a boolean mask with a float bias; the result is correct.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            hidden_BTD: Tensor = self.network(wave_BN, own_BN.long()).last_hidden_state
        return hidden_BTD


class LogMelEncoder(nn.Module):
    """Whisper's encoder after its log-mel front end, as ``WhisperFeatureExtractor`` computes it.

    Every input is padded to the same length with silence, which the encoder sees. A result
    therefore does not depend on the other rows of a batch.

    Args:
        network: encoder of (B, F, T) log-mel features.
        mel_filters_SF: one column per mel bin, S frequencies.
        n_fft: samples per frame.
        hop: samples from one frame to the next.
        n_samples: the length to which a waveform is padded.
    """

    def __init__(
        self, network: nn.Module, mel_filters_SF: Tensor, n_fft: int, hop: int, n_samples: int
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("_mel_filters_SF", mel_filters_SF, persistent=False)
        self.register_buffer("_window", torch.hann_window(n_fft), persistent=False)
        self._n_fft, self._hop, self._n_samples = n_fft, hop, n_samples

    def forward(self, wave_BN: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Compute (B, T, D) from (B, N), N at most ``n_samples``, zero after each row's end."""
        kind = wave_BN.device.type
        # Features are always computed in float32, whatever the precision of the network.
        exactly = torch.autocast(kind, enabled=False) if is_autocast_available(kind) else None
        with exactly or nullcontext():
            mel_BFT = self.log_mel(wave_BN)
        hidden_BTD: Tensor = self.network(mel_BFT).last_hidden_state
        return hidden_BTD

    def log_mel(self, wave_BN: Tensor) -> Tensor:
        """Compute (B, F, T) from (B, N): log10 mel power, floored at its maximum − 8, scaled."""
        padded = functional.pad(wave_BN, (0, self._n_samples - wave_BN.shape[1]))
        spectrum_BST = torch.stft(
            padded,
            self._n_fft,
            self._hop,
            window=self.get_buffer("_window"),
            return_complex=True,
        )[..., :-1]
        power_BST = (spectrum_BST.abs() ** 2).contiguous()
        mel_BFT = self.get_buffer("_mel_filters_SF").T @ power_BST
        log_BFT = mel_BFT.clamp(min=1e-10).log10()
        floor_B11 = log_BFT.amax(dim=(1, 2), keepdim=True) - 8.0
        return (torch.maximum(log_BFT, floor_B11) + 4.0) / 4.0
