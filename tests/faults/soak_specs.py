"""What the soak sweeps."""

from typing import Any

SPECS: dict[str, dict[str, Any]] = {
    "ridge": {"probes": [{"kind": "ridge"}], "controls": []},
    "mlp": {"probes": [{"kind": "mlp", "hidden": [8], "epochs": 3, "seeds": 2}, {"kind": "cca"}]},
    "folds": {"probes": [{"kind": "ridge"}], "protocol": {"kind": "kfold", "folds": 3}},
    "classes": {"targets": ["cps", "sex"], "probes": [{"kind": "knn"}]},
    "gram": {"store": "gram", "probes": [{"kind": "ridge"}, {"kind": "cca"}]},
    "similarity": {"probes": [{"kind": "ridge"}], "similarity": {"utterances": 20}},
}


def small_sweep() -> dict[str, Any]:
    """Two tiny untrained networks and a few voices; what the specs of the soak have in common."""
    network = {
        "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
        "model_args": {"in_planes": 2, "embed_dim": 16},
    }  # fmt: skip
    return {
        "name": "soak",
        "corpus": {
            "kind": "espeak",
            "speakers": {"train": 6, "validation": 4, "test": 4},
            "utterances_per_speaker": 5,
        },
        "models": [{"name": name, "seed": seed, **network} for seed, name in enumerate("ab")],
        "layers": ["stem", "layer1.*", "pooling", -1],
        "controls": ["shuffled"],
        "baselines": ["mean"],
        "bootstrap": {"resamples": 100},
    }
