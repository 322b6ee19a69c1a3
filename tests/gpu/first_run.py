"""What `first_run.sh` asks beside the package's own commands; each part prints lines as it finds them.

one           one kernel and one small training step, beside NumPy's: does anything run at all
bench KIND    entries of `cmir-ref bench --device cuda`, or `machine`: what they depend on
launches      a step of each kind: kernels, waits, milliseconds of host, device and all, the dearest kernels
seconds RUN   what a run's epochs took

With --dry all is computed by NumPy at tiny sizes.
"""

import argparse
import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from cmir_ref.backend import library, to_device, to_host
from cmir_ref.bench import gpu
from cmir_ref.bench.peers import relative_differences
from cmir_ref.bench.steps import SHAPES, conv_step, latent_step
from cmir_ref.bench.suite import entry_cells
from cmir_ref.kernels import adam_step_kernel
from cmir_ref.training.adam import adam_step

TINY = gpu.Size((("mul", "paper"), ("mul", "released-frozen")), (3,), 2**16, 32, pairs=16, scenes=8, turns=2, seconds=0)
SHORT = gpu.FULL_SIZE._replace(pairs=20_000, turns=3, seconds=0.3)
WAITS = ("Synchronize", "cudaMemcpy", "cuMemcpy")  # what the host waits in; copies that wait for nothing end in Async


def one(xp) -> int:
    """0 where a kernel and two steps give NumPy's numbers."""
    random, worst = np.random.default_rng(0), {}
    arrays = [random.random(1000) for _ in range(4)]
    settings = {"decay": 0.1, "lr": 1e-2, "rate": 1e-2, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
    there, here = ([to_device(a.copy(), to) for a in arrays] for to in (xp, np))
    (adam_step_kernel if xp.__name__ == "cupy" else adam_step)(*there, **settings)
    adam_step(*here, **settings)
    worst["Adam's kernel"] = max(np.abs(to_host(a) - b).max() for a, b in zip(there, here, strict=True))
    for name, make in {
        "stage 1": partial(conv_step, SHAPES["mul"], "paper", 2),
        "stage 2": partial(latent_step, 8),
    }.items():
        there, here = (make(xp=to, dtype="float64").gradients() for to in (xp, np))
        errors = relative_differences(*({k: to_host(v) for k, v in side.items()} for side in (there, here)))
        worst[name] = np.max(list(errors.values()))
        make(xp=xp).step()
    gpu.wait(xp)
    for name, value in worst.items():
        print(f"{name}: differs from NumPy's by {value:.1e}")
    return int(not max(worst.values()) <= gpu.SAME["float64"])


def bench(xp, kind: str, size: gpu.Size) -> int:
    """1 where numbers differ from NumPy's; raises where they differ from PyTorch's."""
    if kind == "machine":
        print("\n".join(gpu.gpu_machine(xp)))
        return 0
    status = 0
    for entry in gpu.gpu_entries([kind], size, xp):
        print("  ".join(filter(None, entry_cells(entry))), flush=True)
        status |= entry.same is False
    return int(status)


def launches(xp, size: gpu.Size) -> int:
    """Counted by PyTorch's profiler, which sees the kernels of any library; without it there are times alone."""
    kinds = {f"conv/{net}/{order}": partial(conv_step, SHAPES[net], order) for net, order in size.steps}
    for batch in size.batches:
        for name, make in (kinds | {"latent": latent_step}).items():
            step = make(batch, xp=xp).step
            time = gpu.time_steps({"ours": step}, xp, size._replace(turns=3, seconds=min(size.seconds, 0.2)))["ours"]
            print(f"{name}/{batch}: {1e3 * time.whole:.2f} ms, of the host {1e3 * time.host:.2f} ms", flush=True)
            for text in profiled(step, xp):
                print("    " + text, flush=True)
            del step
            gpu.release(xp, None)
    return 0


def profiled(step, xp):
    """Lines about one step: what the device did, what the host waited in."""
    if gpu.torch_or_none() is None:
        yield "PyTorch is not here, or sees no GPU: nothing is counted"
        return
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        step()
        gpu.wait(xp)
    device, host, count = Counter(), Counter(), Counter()
    for event in found.events():
        on_device = event.device_type == DeviceType.CUDA
        (device if on_device else host)[event.name] += event.time_range.elapsed_us()
        count[event.name] += 1
    kernels = [name for name in device if not name.startswith(("Memcpy", "Memset"))]
    waits = [name for name in host if any(w in name for w in WAITS) and not name.endswith("Async")]
    yield (
        f"{sum(count[name] for name in kernels)} kernels, {sum(count[name] for name in device)} with copies; "
        f"the device was busy for {sum(device.values()) / 1e3:.2f} ms; waits: {sum(count[n] for n in waits) - 2}"
    )
    for name in sorted(device, key=device.get, reverse=True)[:12]:
        yield f"{device[name] / 1e3:8.3f} ms {count[name]:4d} × {name[:90]}"
    for name in sorted(waits, key=host.get, reverse=True)[:3]:
        yield f"{host[name] / 1e3:8.3f} ms {count[name]:4d} × {name} (the host; two come after the step)"


def seconds(run: Path) -> int:
    """Epochs and seconds by stage."""
    epochs, whole = Counter(), Counter()
    for line in (run / "metrics.jsonl").read_text().splitlines():
        found = json.loads(line)
        epochs[found["stage"]] += 1
        whole[found["stage"]] += found["seconds"]
    for stage, count in epochs.items():
        print(f"{stage}: {count} epochs, {whole[stage]:.1f} s")
    return 0


def main() -> int:
    """0: as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("one", "bench", "launches", "seconds"))
    parser.add_argument("what", nargs="?")
    parser.add_argument("--dry", action="store_true")
    chosen = parser.parse_args()
    if chosen.part == "seconds":
        return seconds(Path(chosen.what))
    xp = library("cpu" if chosen.dry else "cuda")
    size = TINY if chosen.dry else SHORT
    if chosen.part == "bench":
        return bench(xp, chosen.what, size)
    return one(xp) if chosen.part == "one" else launches(xp, size)


if __name__ == "__main__":
    sys.exit(main())
