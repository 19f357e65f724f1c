"""The command that predicts on many machines: `leadline cluster`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leadline.cli.console import (
    EXIT_USAGE,
    OUT,
    Formats,
    Runtime,
    counting,
    depths,
    print_error,
    require_packages,
    run_by,
)


def cluster(
    source: str,
    /,
    *,
    out: Annotated[str, OUT],
    model: str = "default",
    backend: Runtime | None = None,
    format: Formats = ("depth", "npz"),
    focal_px: float | None = None,
    fov: float | None = None,
    intrinsics: Path | None = None,
    undistort: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Predict all images of a folder or a bucket on a Ray cluster or this machine.

    The same command resumes an interrupted run.

    The cluster is the one in RAY_ADDRESS, or the one that runs the Ray job.

    Args:
        source: folder or bucket of images: a path, s3://…, gs://…, abfs://… or any other address that fsspec reads.
        out: folder or bucket for the results, with the same subfolders as the source.
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, or hf:NAME.
        backend: what runs a leadline model: onnxruntime or torch; if not given, what answers soonest
            (docs/models.md).
        format: as for `leadline predict` but for sheet.
        focal_px: focal length in pixels; if not given, from EXIF, else that of the training images.
        fov: horizontal field of view in degrees, instead of --focal-px.
        intrinsics: camera file instead of both (docs/guides/camera.md).
        undistort: first remove the lens distortion whose coefficients the camera file holds.
    """
    require_packages("fsspec", "ray", extra="ray")
    from leadline.serving import jobs_left, predict_on_cluster

    camera = {"focal_px": focal_px, "fov_deg": fov, "camera": intrinsics, "undistort": undistort}
    formats = list(format)
    jobs, num_there = jobs_left(source, out, formats)
    broken = []
    with counting("images", len(jobs)) as count:
        found = predict_on_cluster(jobs, source, out, run_by(model, backend), formats, **camera) if jobs else ()
        for num_done, done in enumerate(found, start=1):
            count(num_done)
            if done.error:
                broken.append(done)
            else:
                print(f"{done.picture}  {depths(done.near_m, done.median_m, done.far_m)}  {done.focal}", flush=True)
    num_written, num_all = len(jobs) - len(broken), len(jobs) + num_there
    kinds = f" as {', '.join(formats)}" * bool(num_written and formats)
    print(f"{num_written} of {num_all} images written to {out}{kinds}, {num_there} already there")
    for done in broken:
        print_error(done.error)
    return EXIT_USAGE if broken else 0
