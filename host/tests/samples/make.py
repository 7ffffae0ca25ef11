"""Writes the sample files of the importers of PyTorch's formats, and counts.json with what they hold.

Run with PyTorch 2.11 from anywhere: python make.py. Each network is exported by torch.export, traced and scripted. Weight data,
example inputs and stack traces are dropped, as no importer reads them, and the entries are compressed; mlp.pt2 alone keeps its
layout, with its weights.

counts.json: parameters are the sum of numel over nn.Module.parameters(); MACs half the FLOPs of torch.utils.flop_counter, which does
not count recurrent layers: for those the elements of their matrices, times steps, times rows, are added.
"""

import json
import os
import zipfile

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

HERE = os.path.dirname(os.path.abspath(__file__))


class Residual(nn.Module):
    """Two convolutions with a projected shortcut, pooled and classified."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.shortcut = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y = self.pool(self.relu(y + self.shortcut(x)))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 1), 1))


class Attention(nn.Module):
    """Patches with a class token and positions, through one block of attention by hand."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.positions = nn.Parameter(torch.zeros(1, 17, 16))
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], dim=1) + self.positions
        n, tokens, features = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, tokens, 3, 2, features // 2).permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.softmax(q @ k.transpose(-2, -1) * 0.35, dim=-1)
        x = x + self.proj((scores @ v).transpose(1, 2).reshape(n, tokens, features))
        return self.head(x[:, 0])


class Mobile(nn.Module):
    """An inverted residual with squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 5, padding=2, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Conv2d(8, 24, 1), nn.Hardsigmoid())
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.squeeze(y))


class Words(nn.Module):
    """An LSTM over words; the classifier shares no weights with it."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        y, _ = self.lstm(self.embedding(x))
        return self.head(y[:, -1])


class Tied(nn.Module):
    """One matrix three times: rows of it for words, twice as a layer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.inner = nn.Linear(8, 8)
        self.head = nn.Linear(8, 30, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.inner(self.inner(self.embedding(x))))


def mlp():
    return nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 4))


def pack(path, keep_layout):
    """Drops what no importer reads, and what names this machine."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            if name.endswith(".debug_pkl") or "/sample_inputs/" in name:
                continue
            if name.endswith(".json"):
                program = json.loads(data)
                for node in program.get("graph_module", {}).get("graph", {}).get("nodes", []):
                    node["metadata"] = {}
                data = json.dumps(program).encode()
            elif "/data/" in name and not keep_layout:
                data = b""
            # A fixed date: the same networks give the same files.
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if keep_layout else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def macs(model, inputs):
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    total = counter.get_total_flops() // 2
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            rows = inputs[0].numel()
            total += rows * sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight"))
    return total


def main():
    torch.manual_seed(0)
    words = torch.zeros(2, 6, dtype=torch.int64)
    networks = {
        "mlp": (mlp(), (torch.zeros(3, 12),)),
        "residual": (Residual(), (torch.zeros(1, 3, 32, 32),)),
        "attention": (Attention(), (torch.zeros(2, 3, 16, 16),)),
        "mobile": (Mobile(), (torch.zeros(1, 8, 14, 14),)),
        "words": (Words(), (words,)),
        "tied": (Tied(), (words,)),
    }
    counts = {}
    for name, (model, inputs) in networks.items():
        model.eval()
        program = torch.export.export(model, inputs)
        written = {f"{name}.pt2": lambda path: torch.export.save(program, path)}
        written[f"{name}_core.pt2"] = lambda path: torch.export.save(program.run_decompositions(), path)
        written[f"{name}_traced.pt"] = lambda path: torch.jit.save(torch.jit.trace(model, inputs), path)
        written[f"{name}_scripted.pt"] = lambda path: torch.jit.save(torch.jit.script(model), path)
        for file, write in written.items():
            path = os.path.join(HERE, file)
            write(path)
            pack(path, file == "mlp.pt2")
        counts[name] = {
            "files": sorted(written),
            "inputs": [list(tensor.shape) for tensor in inputs],
            "params": sum(p.numel() for p in model.parameters()),
            "macs": macs(model, inputs),
        }
    model, inputs = networks["mlp"]
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    path = os.path.join(HERE, "mlp_any_batch.pt2")
    torch.export.save(torch.export.export(model, inputs, dynamic_shapes=({0: batch[0]},)), path)
    pack(path, False)
    with open(os.path.join(HERE, "counts.json"), "w") as file:
        json.dump(counts, file, indent=1)
        file.write("\n")


main()
