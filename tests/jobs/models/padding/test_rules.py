"""Padded batches, operation by operation: what every utterance alone would give, or a refusal."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from jobs.models.padding import CannotMask, check_pooled, masked_batch, pad
from jobs.models.padding.frames import fill_rows, fill_tail
from jobs.models.padding.lengths import FrameCount, Lengths

LENGTHS = (7, 12, 9)
CHANNELS = 8


@pytest.fixture(scope="module", autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def utterances(lengths=LENGTHS):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, CHANNELS, generator=generator) for n in lengths]


def in_one_batch(function, alone):
    """What lies beyond an utterance's end is NaN: wherever it is used, it shows."""
    batch, lengths = pad(alone)
    for row, length in enumerate(lengths):
        batch[row, length:] = float("nan")
    with masked_batch(batch, lengths):
        values = function(batch)
        check_pooled({"the function's value": values})
    return values


def assert_as_alone(function, lengths=LENGTHS):
    """``function``: (B, T, C) to one vector an utterance."""
    alone = utterances(lengths)
    expected = torch.cat([function(one[None].clone()) for one in alone])
    torch.testing.assert_close(in_one_batch(function, alone), expected, rtol=1e-5, atol=1e-6)


def weights(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def over_time(operation):
    """(B, T, C) → (B, C, T) → the operation → its mean over time."""
    return lambda x: operation(x.transpose(1, 2)).mean(dim=-1).flatten(1)


K1, K3, K4 = weights(6, CHANNELS, 1), weights(6, CHANNELS, 3), weights(6, CHANNELS, 4)
BIAS = weights(6)
K33 = weights(5, 1, 3, 3)

CONVOLUTIONS = {
    "padded": lambda x: F.conv1d(x, K3, BIAS, padding=1),
    "not padded": lambda x: F.conv1d(x, K3, BIAS),
    "strided": lambda x: F.conv1d(x, K3, BIAS, stride=2, padding=1),
    "strided, one wide": lambda x: F.conv1d(x, K1, BIAS, stride=3),
    "one wide, padded": lambda x: F.conv1d(x, K1, BIAS, padding=2),
    "dilated": lambda x: F.conv1d(x, K3, BIAS, dilation=2, padding=2),
    "same, of even width": lambda x: F.conv1d(x, K4, BIAS, padding="same"),
    "valid": lambda x: F.conv1d(x, K4, BIAS, padding="valid"),
    "by channel": lambda x: F.conv1d(x, weights(2 * CHANNELS, 1, 3), groups=CHANNELS),
    "in two dimensions": lambda x: F.conv2d(x[:, None], K33, stride=(1, 2), padding=1),
    "one after the other": lambda x: F.conv1d(
        F.conv1d(x, K3, BIAS, padding=1), weights(4, 6, 3), padding=1
    ),
    "after batch norm and ReLU": lambda x: F.conv1d(
        F.relu(F.batch_norm(x, torch.ones(CHANNELS), torch.full((CHANNELS,), 2.0))), K3, padding=1
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    assert_as_alone(over_time(CONVOLUTIONS[name]))


POOLS = {
    "average": lambda x: F.avg_pool1d(x, 3),
    "average, the last window cut off": lambda x: F.avg_pool1d(x, 5, ceil_mode=True),
    "average, wider than any utterance": lambda x: F.avg_pool1d(x, 100, 100, ceil_mode=True),
    "average, padded": lambda x: F.avg_pool1d(x, 3, 2, padding=1),
    "average, padding not counted": lambda x: F.avg_pool1d(
        x, 3, 2, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "average in two dimensions": lambda x: F.avg_pool2d(x[:, None], 2, ceil_mode=True),
    "largest": lambda x: F.max_pool1d(x, 3, 2, padding=1),
    "largest in two dimensions": lambda x: nn.MaxPool2d(2, ceil_mode=True)(x[:, None]),
    "down to one": lambda x: nn.AdaptiveAvgPool1d(1)(x),
    "down to one in two dimensions": lambda x: nn.AdaptiveAvgPool2d((1, 1))(x[:, None]),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name):
    def pooled(x):
        value = POOLS[name](x.transpose(1, 2))
        return value.flatten(1) if value.shape[-1] == 1 else value.mean(dim=-1).flatten(1)

    function = over_time(POOLS[name]) if "down to one" not in name else pooled
    assert_as_alone(function)


def attention(x, heads=2):
    n, frames, channels = x.size()
    head = channels // heads

    def split(value):
        return value.view(n, frames, heads, head).transpose(1, 2).contiguous()

    query, key, value = (split(part).view(n * heads, -1, head) for part in (x, 2 * x, x + 1))
    mixed = F.softmax(torch.bmm(query, key.transpose(1, 2)), dim=-1) @ value
    return mixed.view(n, heads, frames, head).transpose(1, 2).reshape(n, frames, channels)


def simam(x):
    x = x[:, None]
    n = x.shape[2] * x.shape[3] - 1
    d = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
    v = d.sum(dim=[2, 3], keepdim=True) / n
    return (x * torch.sigmoid(d / (4 * (v + 1e-4)) + 0.5)).mean(dim=2).flatten(1)


def whole_strides(x):
    """Frames are cut down to a multiple of 4, of the utterance's own number, as ReDimNet2 does."""
    frames = x.size(1)
    return F.conv1d(x[:, : (frames // 4) * 4].transpose(1, 2), K3, padding=1).mean(-1)


STATISTICS = {
    "mean": lambda x: x.mean(1),
    "mean of a list of axes": lambda x: x.transpose(1, 2)[:, None].mean(dim=[1, 3]),
    "mean, its axis kept": lambda x: (x - x.mean(1, keepdim=True)).square().mean(1),
    "mean over channels, then time": lambda x: x.mean(-1, keepdim=True).mean(1),
    "sum": lambda x: torch.sum(x, dim=1),
    "variance": lambda x: torch.var(x, dim=1),
    "variance of the population": lambda x: x.var(1, unbiased=False),
    "deviation": lambda x: x.std(dim=1, keepdim=True).squeeze(1),
    "largest": lambda x: x.amax(1),
    "smallest": lambda x: x.amin(dim=1),
    "softmax": lambda x: (torch.softmax(x, dim=1) * x).sum(1),
    "softmax of a module": lambda x: (nn.Softmax(dim=2)(x.transpose(1, 2)) ** 2).sum(2),
    "softmax over channels": lambda x: F.softmax(x, dim=-1).mean(1),
    "cumulative sum": lambda x: x.cumsum(1).mean(1),
    "product over time": lambda x: torch.matmul(x.transpose(1, 2), x).flatten(1),
    "attention": lambda x: attention(x).mean(1),
    "SimAM": simam,
    "group norm": lambda x: (
        F.group_norm(x.transpose(1, 2), 2, weights(CHANNELS), weights(CHANNELS)).square().mean(-1)
    ),
    "group norm in two dimensions": lambda x: F.group_norm(
        x.transpose(1, 2).reshape(len(x), 4, 2, x.shape[1]), 4
    ).amax((2, 3)),
    "fused attention": lambda x: F.scaled_dot_product_attention(x, 2 * x, x + 1, scale=0.3).mean(1),
    "fused attention with heads": lambda x: (
        nn.functional.scaled_dot_product_attention(
            *[part.view(*part.shape[:2], 2, 4).transpose(1, 2) for part in (x, 2 * x, x + 1)]
        )
        .transpose(1, 2)
        .flatten(2)
        .mean(1)
    ),
    "layer norm": lambda x: F.layer_norm(x, (CHANNELS,)).mean(1),
    "number of frames": lambda x: x.sum(1) / x.shape[1],
    "number of frames on the left": lambda x: (3 * x.shape[1] - x.sum(1)) * 1.0,
    "number of frames, in place": lambda x: x.sum(1).div_(x.shape[1] + 1),
    "cut down to whole strides": whole_strides,
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(name):
    assert_as_alone(STATISTICS[name])


SHAPES = {
    "permute": lambda x: x.permute(0, 2, 1).mean(-1),
    "unsqueeze in place": lambda x: x.clone().unsqueeze_(1).mean((1, 2)),
    "channels flattened": lambda x: x.view(x.shape[0], -1, 2, 4).flatten(2).mean(1),
    "channels split": lambda x: x.transpose(1, 2).reshape(x.size(0), 4, 2, x.size(1)).mean((1, 3)),
    "new axes": lambda x: x[:, None, :, None].mean((1, 2)).flatten(1),
    "an ellipsis": lambda x: x[..., 2:5].mean(1),
    "all but the last frames": lambda x: x[:, :-2].mean(1),
    "from the third frame on": lambda x: x[:, 2:].mean(1),
    "the first four frames": lambda x: x[:, :4].mean(1),
    "the first ten frames": lambda x: x[:, :10].mean(1),
    "the second frame": lambda x: x[:, 1],
    "chunks": lambda x: torch.cat([part.mean(1) for part in torch.chunk(x, 4, dim=2)], dim=1),
    "splits": lambda x: torch.split(x, [3, 5], dim=-1)[1].mean(1),
    "unbound": lambda x: torch.stack(x.unbind(2), dim=1).mean(2),
    "stacked": lambda x: torch.stack([x, 2 * x], dim=1).mean(2).flatten(1),
    "joined along channels": lambda x: torch.cat([x, x.square()], dim=2).mean(1),
    "the mean to all frames": lambda x: (x.mean(1, keepdim=True).expand_as(x) * x).sum(1),
    "one value to all frames": lambda x: x.mean(1, True).expand(-1, x.shape[1], -1).sum(1),
    "segments": lambda x: (
        F.avg_pool1d(x.transpose(1, 2), 5, 5, ceil_mode=True)
        .unsqueeze(-1)
        .expand(-1, -1, -1, 5)
        .flatten(2)[..., : x.shape[1]]
        .sum(-1)
    ),
    "a frame appended": lambda x: torch.softmax(
        torch.cat((x, torch.ones(len(x), 1, CHANNELS)), dim=1).cumsum(1), dim=1
    ).amax(1),
    "a frame in front": lambda x: F.conv1d(
        torch.cat((torch.ones(len(x), 1, CHANNELS), x, x), dim=1).transpose(1, 2), K3, padding=1
    ).mean(-1),
    "padded with zeros": lambda x: F.conv1d(F.pad(x.transpose(1, 2), (3, 2)), K3, BIAS).mean(-1),
    "channels padded": lambda x: F.pad(x, (1, 1), value=3.0).mean(1),
    "ones like it": lambda x: torch.ones_like(x).sum(1),
    "masked channels": lambda x: torch.where(weights(CHANNELS) > 0, x, 0.0).mean(1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    assert_as_alone(SHAPES[name])


REFUSED = {
    "flip": lambda x: x.flip(1),
    "sort": lambda x: x.sort(1)[0],
    "recurrent network": lambda x: nn.GRU(CHANNELS, 4, batch_first=True)(x)[0],
    "einsum": lambda x: torch.einsum("btc,btd->bcd", x, x),
    "norm": lambda x: x.norm(dim=1),
    "interpolation": lambda x: F.interpolate(x.transpose(1, 2), scale_factor=2),
    "group norm with time as its channels": lambda x: F.group_norm(x, 2),
    "attention with a mask": lambda x: F.scaled_dot_product_attention(
        x, x, x, torch.ones(12, 12).bool()
    ),
    "attention to a table": lambda x: F.scaled_dot_product_attention(
        x, weights(3, 12, CHANNELS), weights(3, 12, CHANNELS)
    ),
    "batch norm in training": lambda x: F.batch_norm(x.transpose(1, 2), None, None, training=True),
    "dropout in training": lambda x: F.dropout(x, training=True),
    "layer norm over time": lambda x: F.layer_norm(x[:, :4].mean(1, True) + x, x.shape[1:]),
    "linear over time": lambda x: F.linear(x.transpose(1, 2), weights(3, 12)),
    "product with a table over time": lambda x: weights(3, 4, 12) @ x,
    "channels and time merged": lambda x: x.transpose(1, 2).reshape(3, -1),
    "time split": lambda x: x.reshape(3, 6, 2, CHANNELS),
    "time and batch merged": lambda x: x.reshape(-1, CHANNELS),
    "batch moved": lambda x: x.transpose(0, 1),
    "mean of the batch": lambda x: x.mean(0),
    "mean of everything": lambda x: x.mean(),
    "the last frame": lambda x: x[:, -1],
    "the tenth frame": lambda x: x[:, 10],
    "the last frames": lambda x: x[:, -3:],
    "every second frame": lambda x: x[:, ::2],
    "one utterance": lambda x: x[:1],
    "frames by a mask": lambda x: x[x[..., 0] > 0],
    "frames written": lambda x: x.__setitem__((slice(None), 0), 1.0),
    "frames written elsewhere": lambda x: torch.zeros(3, 12, CHANNELS).add_(x),
    "frames picked by time from a table": lambda x: weights(20, CHANNELS)[: x.shape[1]] + x,
    "reflection": lambda x: F.pad(x.transpose(1, 2), (1, 1), mode="reflect"),
    "a value read": lambda x: x.sum().item(),
    "all elements counted": lambda x: x.numel(),
    "the shape's elements counted": lambda x: x.shape.numel(),
    "half of the frames": lambda x: x.shape[1] / 2,
    "root of the frames": lambda x: math.sqrt(x.shape[1]),
    "int of the frames": lambda x: int(x.shape[1]),
    "as many positions": lambda x: torch.arange(x.shape[1]),
    "decision by length": lambda x: x if x.shape[1] > 8 else 2 * x,
    "sequences of two lengths": lambda x: x[:, :-1] + x[:, 1:-1].cumsum(1)[:, :1] * x[:, 1:],
    "another length": lambda x: torch.cat([x[:, 2:], x[:, :10]], dim=2),
    "a place for the result": lambda x: torch.mean(x, 1, out=torch.empty(3, CHANNELS)),
    "a vector over time": lambda x: x.transpose(1, 2) @ weights(12),
    "time as channels": lambda x: F.conv1d(x, weights(2, 12, 3)),
    "time left in": lambda x: x,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_result_is_refused(name):
    with pytest.raises(CannotMask, match="run this network on batches of equal length"):
        in_one_batch(REFUSED[name], utterances())


def test_a_single_frame_may_not_be_squeezed_away():
    with pytest.raises(CannotMask, match="squeeze"):
        in_one_batch(lambda x: x.squeeze(), utterances((1, 3)))


def test_the_first_frames_are_refused_where_an_utterance_lacks_one():
    with pytest.raises(CannotMask, match="picks a frame"):
        in_one_batch(lambda x: x[:, 8], utterances())


def test_an_utterance_that_leaves_no_frame_is_an_error_as_it_is_alone():
    with pytest.raises(RuntimeError, match="row 0 is too short"):
        in_one_batch(over_time(CONVOLUTIONS["not padded"]), utterances((2, 6)))


def test_zeros_are_renewed_after_a_write_through_any_view():
    def written(x):
        x = x.transpose(1, 2).contiguous()
        once = F.conv1d(x, K3, padding=1).mean(-1)  # x is zero beyond the ends now
        view = x.view(x.shape)
        view += 1
        return once + F.conv1d(x, K3, padding=1).mean(-1)

    assert_as_alone(written)


def test_zeros_of_a_copy_are_not_taken_for_those_of_the_original():
    def copied(x):
        x = x.transpose(1, 2)
        copy = x.reshape(x.shape[0], CHANNELS, -1).contiguous()
        once = F.conv1d(copy, K3, padding=1).mean(-1)
        return once + F.conv1d(x, K3, padding=1).mean(-1)

    assert_as_alone(copied)


def test_shorter_pieces_have_zeros_of_their_own():
    def cut(x):
        x = x.transpose(1, 2)
        once = F.conv1d(x, K3, padding=1).mean(-1)
        return once + F.conv1d(x[..., :-1], K3, padding=1).mean(-1)

    assert_as_alone(cut)


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_rows_and_the_tail_are_filled_alike(axis):
    """The CPU's way and the GPU's."""
    plain = weights(3, 12, 12, 12)
    by_row, at_once = plain.clone(), plain.clone()
    fill_rows(by_row, axis, Lengths(LENGTHS, 12), -5.0)
    fill_tail(at_once, axis, Lengths(LENGTHS, 12), -5.0)
    torch.testing.assert_close(by_row, at_once, rtol=0, atol=0)
    changed = (by_row != plain).movedim(axis, 1).flatten(2).any(dim=2)
    assert changed.int().argmax(dim=1).tolist() == [7, 0, 9]
    assert changed.sum(dim=1).tolist() == [5, 0, 3]


def test_the_same_network_runs_outside_as_ever():
    batch, lengths = pad(utterances())
    expected = batch.mean(1)
    with masked_batch(batch, lengths):
        pass
    torch.testing.assert_close(batch.mean(1), expected, rtol=0, atol=0)


def test_what_a_number_of_frames_stands_for_keeps_the_type_of_its_tensor():
    batch, lengths = pad(utterances())
    with masked_batch(batch, lengths):
        assert (batch.bfloat16().sum(1) / batch.shape[1]).dtype == torch.bfloat16


def test_frame_counts_calculate_for_every_utterance():
    count = FrameCount(Lengths((3, 8), 10))
    assert isinstance(count, int)
    result = (2 * count + 1 - count) // 4 % 5
    assert (int.__add__(result, 0), result.lengths) == (2, Lengths((1, 2), 2))
    assert (20 - count).lengths == Lengths((17, 12), 10)
    assert count > 2
    assert count != 9
    assert count
    with pytest.raises(CannotMask, match="differs between utterances"):
        _ = count == 8
