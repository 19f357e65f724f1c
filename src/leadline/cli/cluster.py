"""The command that predicts on many machines: `leadline cluster`."""

import sys
from pathlib import Path

from leadline.cli.console import EXIT_USAGE, depths


def cluster(
    source: str,
    /,
    *,
    out: str,
    model: str = "default",
    format: str = "depth,npz",
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
) -> int:
    """Predict all pictures of a folder or a bucket, on this machine or on a Ray cluster's; go on where it was stopped.

    The cluster is the one that RAY_ADDRESS names, or that a Ray job runs on.

    Args:
        source: folder or bucket of pictures: a path, s3://…, gs://…, abfs://… or whatever else fsspec knows.
        out: folder or bucket for the results, whose folders are those of the source.
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        format: what to write, commas between: see `leadline predict`; no sheet.
        focal_px: focal length in pixels of the pictures; else from EXIF, else assumed to be the training pictures'.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
    """
    from leadline.serving import jobs_left, predict_on_cluster

    camera = {"focal_px": focal_px, "fov_deg": fov, "intrinsics": intrinsics}
    formats = [name.strip() for name in format.split(",") if name.strip()]
    jobs, num_there = jobs_left(source, out, formats)
    broken = []
    for done in predict_on_cluster(jobs, source, out, model, formats, **camera) if jobs else ():
        if done.error:
            broken.append(done)
        else:
            print(f"{done.picture}  {depths(done.near_m, done.median_m, done.far_m)}  {done.focal}", flush=True)
    num_written = len(jobs) - len(broken)
    print(f"{num_written} of {len(jobs) + num_there} pictures written to {out}, {num_there} were there")
    for done in broken:
        print(f"leadline: {done.error}", file=sys.stderr)
    return EXIT_USAGE if broken else 0
