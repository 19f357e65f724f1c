"""Predict the depth of one image, read it in metres, measure in it, and save it.

python examples/predict.py [IMAGE] [OUT]
"""

import sys
from pathlib import Path

import leadline

EXAMPLE = Path(__file__).parent / "room_1.jpg"


def main(image: Path, out: Path) -> None:
    model = "fast"
    # The focal length sets the metres: without fov_deg it comes from EXIF, or is assumed to be the training camera's.
    prediction = leadline.predict(image, model, fov_deg=63)

    near_m, median_m, far_m = prediction.summary
    print(f"{image.name}: {near_m:.2f} m to {far_m:.2f} m, median {median_m:.2f} m")

    height, width = prediction.depth_m.shape
    center = (width // 2, height // 2)
    print(f"depth at {center}: {prediction.depth_m[center[1], center[0]]:.2f} m")
    if prediction.uncertainty_m is not None:
        print(f"expected error there: {prediction.uncertainty_m[center[1], center[0]]:.2f} m")

    lower_left = (width // 8, height * 7 // 8)
    print(f"from there to {lower_left}: {leadline.measure(image, center, lower_left, model=model, fov_deg=63)}")

    for path in prediction.save(out / image.stem, ["depth", "color", "npz"]):
        print(f"wrote {path}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(given[0] if given else EXAMPLE, given[1] if len(given) > 1 else Path("demo_out"))
