#!/usr/bin/env python3
"""Writes zoo_counts.csv: parameters and MACs of the zoo's networks, counted by other programs than derate.

    python host/tests/data/zoo_counts.py MLPERF_TINY_MACS.csv > host/tests/data/zoo_counts.csv

Needs torch and torchvision (the committed table: torch 2.11, torchvision 0.26). Modules live on the meta device: shapes without
values. `params` is the sum of p.numel(). `macs` is half of what torch.utils.flop_counter counts: matrix products and convolutions,
attention as its two matrix products. `published_gmacs` is torchvision's `_ops`, rounded there to three decimals, of the first
weights (IMAGENET1K_V1), at whose crop the network is counted.

MLPERF_TINY_MACS.csv lists the layers of MLPerf Tiny's TFLite files; its TOTAL rows give `tiny_*`, batch norm folded.
"""
import csv
import logging
import sys

import torch
import torchvision
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

TORCHVISION = """resnet18 resnet34 resnet50 resnet101 resnet152 vgg11 vgg16 vgg19 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large
efficientnet_b0 efficientnet_b1 efficientnet_b2 squeezenet1_0 squeezenet1_1 densenet121 vit_b_16 vit_b_32""".split()
TINY = {"AD": "tiny_ad", "KWS": "tiny_kws", "IC": "tiny_ic", "VWW": "tiny_vww"}
BATCHES = [1, 8]


def count(module, *extents):
    """Parameters, and MACs of one run in evaluation."""
    # The fused path of attention is one op that the counter does not know.
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        module.eval()(torch.empty(*extents, device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return sum(p.numel() for p in module.parameters()), flops // 2


def rows(tiny_csv):
    for name in TORCHVISION:
        weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        crop = weights.transforms().crop_size[0]
        with torch.device("meta"):
            module = torchvision.models.get_model(name)
        for batch in BATCHES:
            params, macs = count(module, batch, 3, crop, crop)
            assert params == weights.meta["num_params"], name
            yield name, batch, params, macs, weights.meta["_ops"]
    with torch.device("meta"):
        layer = torch.nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
        bert = torch.nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
    for batch in BATCHES:
        yield "bert_base", batch, *count(bert, batch, 128, 768), ""
    with open(tiny_csv, newline="") as file:
        for row in csv.DictReader(file):
            if row["layer"] == "TOTAL":
                for batch in BATCHES:
                    yield TINY[row["task"]], batch, int(row["params"]), batch * int(row["macs"]), ""


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["model", "batch", "params", "macs", "published_gmacs"])
    table.writerows(rows(sys.argv[1]))
