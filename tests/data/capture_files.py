"""Small captures in the form of the apps that write them, for tests: pictures of 48×64 pixels, depth of 12×16."""

import json
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 48, 64
ROWS, COLUMNS = 12, 16
FOCAL_PX = 50.0
POSE_GL = ((1, 0, 0, 0.5), (0, 1, 0, 1.5), (0, 0, 1, 2.5), (0, 0, 0, 1))
"""A camera that looks along the world's -z, its y up, at (0.5, 1.5, 2.5)."""


def colours(height: int = HEIGHT, width: int = WIDTH, number: int = 0) -> np.ndarray:
    """Blue, darker to the right, and red in the upper left; `number` is its green."""
    values = np.zeros((height, width, 3), np.uint8)
    values[..., 2] = np.linspace(250, 50, width)
    values[..., 1] = 20 * number
    values[: height // 4, : width // 4] = 255, 0, 0
    return values


def metres(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """1.5 m, nearer to the right by 1 cm a column, and none (0) in the lower right."""
    values = np.tile(1.5 - 0.01 * np.arange(columns), (rows, 1)).astype(np.float32)
    values[-1, -1] = 0
    return values


def levels(low: int = 0, medium: int = 1, high: int = 2) -> np.ndarray:
    """High confidence, but for one pixel of low (0, 1) and one of medium (0, 2)."""
    values = np.full((ROWS, COLUMNS), high, np.uint8)
    values[0, 1], values[0, 2] = low, medium
    return values


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **({"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}))


def millimetres() -> np.ndarray:
    return np.rint(1000 * metres()).astype(np.uint16)


def dump(path: Path, tree: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding="utf-8")


def _record3d_metadata(num: int, width: int, height: int) -> dict[str, object]:
    half = 0.5**0.5
    return {
        **{"w": width, "h": height, "fps": 60, "initPose": [0, 0, 0, 1, 0, 0, 0]},
        "K": [FOCAL_PX, 0, 0, 0, FOCAL_PX, 0, width / 2, height / 2, 1],  # its columns
        "poses": [[0, half, 0, half, 0.1 * number, 1.5, 2.5] for number in range(num)],
        "frameTimestamps": [0.25 * number for number in range(num)],
    }


def write_record3d_export(root: Path, numbers: Sequence[int] = (0, 1, 3), size: tuple[int, int] = (48, 64)) -> Path:
    """The export: pictures upright, float16 in a channel named R, a quarter as wide; some numbers are missing."""
    openexr = pytest.importorskip("OpenEXR", reason="needs OpenEXR")
    height, width = size
    folder = root / "EXR_RGBD"
    dump(folder / "metadata.json", _record3d_metadata(max(numbers) + 1, width, height))
    (folder / "depth").mkdir()
    for number in numbers:
        save(folder / "rgb" / f"{number}.jpg", colours(height, width, number))
        depth = metres(height // 4, width // 4).astype(np.float16)
        header = {"type": openexr.scanlineimage, "compression": openexr.ZIP_COMPRESSION}
        openexr.File(header, {"R": depth}).write(str(folder / "depth" / f"{number}.exr"))
    return root


def write_r3d(path: Path, numbers: Sequence[int] = (0, 1)) -> Path:
    """A .r3d file: depth and confidence packed with LZFSE; the camera of each picture."""
    lzfse = pytest.importorskip("liblzfse", reason="needs LZFSE")
    metadata = _record3d_metadata(max(numbers) + 1, WIDTH, HEIGHT)
    metadata |= {"dw": COLUMNS, "dh": ROWS, "perFrameIntrinsicCoeffs": [[60 + n, 61, 30, 20] for n in numbers]}
    depth = np.where(metres() > 0, metres(), np.float32(np.nan))
    with ZipFile(path, "w") as file:
        file.writestr("metadata", json.dumps(metadata))
        for number in numbers:
            picture = BytesIO()
            Image.fromarray(colours(number=number)).save(picture, "JPEG")
            file.writestr(f"rgbd/{number}.jpg", picture.getvalue())
            file.writestr(f"rgbd/{number}.depth", lzfse.compress(depth.tobytes()))
            file.writestr(f"rgbd/{number}.conf", lzfse.compress(levels().tobytes()))
    return path


def write_video(path: Path, num: int) -> None:
    """Frames whose green is their number, with more than one key frame."""
    av = pytest.importorskip("av", reason="needs PyAV")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", 60)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size, stream.bit_rate = (
            WIDTH,
            HEIGHT,
            "yuv420p",
            3,
            10**7,
        )
        for number in range(num):
            frame = av.VideoFrame.from_ndarray(colours(number=number), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_stray(folder: Path, num: int = 5) -> Path:
    """A phone held upright: the picture lies on its side, and what is up in the world is to its right."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "rgb.mp4", num)
    (folder / "camera_matrix.csv").write_text("50.0, 0.0, 32.0\n0.0, 50.0, 24.0\n0.0, 0.0, 1.0")
    half = 0.5**0.5
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    for number in range(num):
        save(folder / "depth" / f"{number:06d}.png", millimetres())
        save(folder / "confidence" / f"{number:06d}.png", levels())
        turn = (half, half, 0.0, 0.0)  # half a turn about the diagonal of x and y
        lines.append(f"{100 + number / 4}, {number:06d}, 0.0, {number / 10}, 0.0, " + ", ".join(map(str, turn)))
    (folder / "odometry.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_arkitscenes(root: Path, video: str = "40753679") -> Path:
    """A video of the part `3dod`, in Training: the second picture's camera is 1 ms off, the third has no pose."""
    folder = root / "Training" / video / f"{video}_frames"
    for time, camera in (("10.000", "10.000"), ("10.100", "10.101"), ("10.150", "10.150")):
        save(folder / "lowres_wide" / f"{video}_{time}.png", colours(ROWS, COLUMNS))
        save(folder / "lowres_depth" / f"{video}_{time}.png", millimetres())
        save(folder / "confidence" / f"{video}_{time}.png", levels())
        path = folder / "lowres_wide_intrinsics" / f"{video}_{camera}.pincam"
        path.parent.mkdir(exist_ok=True)
        path.write_text("16 12 12.5 12.25 8.0 6.0")
    quarter = np.pi / 2  # the world to the camera: x stays, z goes to -y, so that the world's up is up
    lines = [f"{time} {quarter} 0 0 0.5 0 2" for time in ("10.0004", "10.1001")]
    (folder / "lowres_wide.traj").write_text("\n".join(lines))
    return folder


def write_polycam(root: Path) -> Path:
    for number, time in enumerate((5_000_000, 5_500_000)):
        save(root / "keyframes" / "images" / f"{time}.jpg", colours(number=number))
        save(root / "keyframes" / "depth" / f"{time}.png", millimetres())
        save(root / "keyframes" / "confidence" / f"{time}.png", levels(0, 127, 255))
        camera = {"fx": 50, "fy": 51, "cx": 32, "cy": 24, "width": WIDTH, "height": HEIGHT, "blur_score": 99}
        pose = {f"t_{row}{column}": POSE_GL[row][column] for row in range(3) for column in range(4)}
        dump(root / "keyframes" / "cameras" / f"{time}.json", {**camera, **pose})
    return root


def write_scanner_app(root: Path) -> Path:
    """Three frames, of which the second has no picture."""
    for number in range(3):
        if number != 1:
            save(root / f"frame_{number:05d}.jpg", colours(number=number))
        save(root / f"depth_{number:05d}.png", millimetres())
        save(root / f"conf_{number:05d}.png", levels())
        pose = [value for row in POSE_GL for value in row]
        matrix = [50, 0, 32, 0, 51, 24, 0, 0, 1]
        dump(root / f"frame_{number:05d}.json", {"cameraPoseARFrame": pose, "intrinsics": matrix, "time": number / 2})
    return root


def write_nerfstudio(root: Path) -> Path:
    """The camera at the top, but for the second frame's own; the third has no depth."""
    frames = []
    for number in range(3):
        save(root / "images" / f"frame_{number}.png", colours(number=number))
        save(root / "depth" / f"frame_{number}.png", millimetres())
        frames.append({"file_path": f"./images/frame_{number}.png", "transform_matrix": POSE_GL})
        if number < 2:
            frames[-1]["depth_file_path"] = f"depth/frame_{number}.png"
    frames[1]["fl_x"] = 70
    camera = {"fl_x": 50, "fl_y": 51, "cx": 32.0, "cy": 24.0, "w": WIDTH, "h": HEIGHT}
    dump(root / "transforms.json", {**camera, "camera_model": "OPENCV", "frames": frames})
    return root


LOST = np.full((4, 4), -np.inf)
POSE_CV = np.array([[1, 0, 0, 0.5], [0, 0, 1, 1.5], [0, -1, 0, 2.5], [0, 0, 0, 1]], np.float32)
"""A camera that looks along the world's y, whose z is up."""
MATRIX = np.array([[50, 0, 32, 0], [0, 51, 24, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)


def write_scannet(root: Path) -> Path:
    """An exported scene: of three frames the second lost its pose."""
    for number in (0, 1, 10):
        save(root / "color" / f"{number}.jpg", colours(number=number % 9))
        save(root / "depth" / f"{number}.png", millimetres())
        (root / "pose").mkdir(exist_ok=True)
        np.savetxt(root / "pose" / f"{number}.txt", LOST if number == 1 else POSE_CV)
    (root / "intrinsic").mkdir()
    np.savetxt(root / "intrinsic" / "intrinsic_color.txt", MATRIX, fmt="%f")
    return root


def write_sens(path: Path, num: int = 2) -> Path:
    """Version 4, JPEG and zlib, in 1000 steps a metre."""
    name = b"StructureSensor"
    head = struct.pack("<IQ", 4, len(name)) + name
    identity = np.eye(4, dtype=np.float32)
    head += b"".join(matrix.tobytes() for matrix in (MATRIX, identity, MATRIX / 4, identity))
    head += struct.pack("<ii4IfQ", 2, 1, WIDTH, HEIGHT, COLUMNS, ROWS, 1000.0, num)
    frames = b""
    for number in range(num):
        picture = BytesIO()
        Image.fromarray(colours(number=number)).save(picture, "JPEG")
        packed = zlib.compress(millimetres().tobytes())
        frames += POSE_CV.tobytes() + struct.pack("<4Q", 33_333 * number, 0, len(picture.getvalue()), len(packed))
        frames += picture.getvalue() + packed
    path.write_bytes(head + frames)
    return path


def write_colmap(root: Path) -> Path:
    """A dense workspace of two images, of which the second has its photometric map alone."""
    quaternion, shift = "0 1 0 0", "0.5 1.5 -2.5"  # half a turn about x
    images = [f"{number + 1} {quaternion} {shift} 1 left/{number}.jpg\n" for number in range(2)]
    (root / "sparse").mkdir(parents=True)
    (root / "sparse" / "images.txt").write_text(
        "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n" + "\n".join(images)
    )
    (root / "sparse" / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 50 51 32 24\n")
    (root / "sparse" / "points3D.txt").write_text("# POINT3D_ID\n")
    for number, kind in enumerate(("geometric", "photometric")):
        save(root / "images" / "left" / f"{number}.jpg", colours(number=number))
        path = root / "stereo" / "depth_maps" / "left" / f"{number}.jpg.{kind}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d&%d&1&" % (COLUMNS, ROWS) + metres().astype("<f4").tobytes())
    return root


def write_replica(root: Path) -> Path:
    """Two rooms of one frame each, and the camera beside them."""
    for number in range(2):
        save(root / f"room{number}" / "results" / "frame000000.jpg", colours(ROWS, COLUMNS, number))
        save(root / f"room{number}" / "results" / "depth000000.png", np.rint(metres() * 6553.5).astype(np.uint16))
        (root / f"room{number}" / "traj.txt").write_text(" ".join(map(str, POSE_CV.ravel())))
    dump(
        root / "cam_params.json",
        {"camera": {"w": 16, "h": 12, "fx": 9, "fy": 9, "cx": 7.5, "cy": 5.5, "scale": 6553.5}},
    )
    return root


PCD_FOCAL_PX = 20.0
PCD_HEADER = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {fields}
SIZE {sizes}
TYPE {types}
COUNT {counts}
WIDTH {width}
HEIGHT {height}
VIEWPOINT {viewpoint}
POINTS {points}
DATA {data}
"""
PCD_FIELDS = {"x": "<f4", "y": "<f4", "z": "<f4", "_": "4u1", "rgb": "<f4"}


def packed_colours(rgb: np.ndarray) -> np.ndarray:
    """0x00RRGGBB."""
    return (rgb.astype("<u4") << np.array([16, 8, 0], "<u4")).sum(-1, dtype="<u4")


def cloud(depth_m: np.ndarray, rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Points of a camera of 20 pixels about (7.5, 5.5), NaN where there is no depth, and their packed colours."""
    rows, columns = np.indices(depth_m.shape)
    z = np.where(depth_m > 0, depth_m, np.nan).astype("<f4")
    x, y = (((px - centre) * z / PCD_FOCAL_PX).astype("<f4") for px, centre in ((columns, 7.5), (rows, 5.5)))
    return {"x": x, "y": y, "z": z, "_": np.full(depth_m.shape, 77), "rgb": packed_colours(rgb).view("<f4")}


def lzf(content: bytes) -> bytes:
    """As the Point Cloud Library packs them."""
    import h5py

    with h5py.File(BytesIO(), "w") as file:
        shape = (len(content),)
        values = file.create_dataset(
            "v", shape, np.uint8, np.frombuffer(content, np.uint8), chunks=shape, compression="lzf"
        )
        file.flush()
        skipped, packed = values.id.read_direct_chunk((0,))
    assert not skipped
    return bytes(packed)


def pcd_header(fields: dict[str, str], size: tuple[int, int], data: str, viewpoint: str = "0 0 0 1 0 0 0") -> bytes:
    """What stands before the points; `size` is height and width."""
    kinds = [np.dtype(kind) for kind in fields.values()]
    words = {
        "fields": fields,
        "sizes": (kind.base.itemsize for kind in kinds),
        "types": (kind.base.kind.upper() for kind in kinds),
        "counts": (int(np.prod(kind.shape)) for kind in kinds),
    }
    lines = {name: " ".join(map(str, each)) for name, each in words.items()}
    height, width = size
    return PCD_HEADER.format(
        **lines, width=width, height=height, viewpoint=viewpoint, points=width * height, data=data
    ).encode()


def write_pcd(
    path: Path, columns: dict[str, np.ndarray], data: str = "binary", viewpoint: str = "0 0 0 1 0 0 0"
) -> Path:
    """A cloud as the library writes it: padding `_` in records, none elsewhere; zeros behind compressed points."""
    kept = {name: PCD_FIELDS[name] for name in columns if data == "binary" or name != "_"}
    head = pcd_header(kept, columns["z"].shape, data, viewpoint)
    table = np.zeros(columns["z"].shape, [(name, kind) for name, kind in kept.items()])
    for name in kept:
        table[name] = columns[name][..., None] if table[name].ndim > 2 else columns[name]
    if data == "binary":
        body = table.tobytes()
    elif data == "ascii":
        numbers = [table[name].view("<u4") if name == "rgb" else table[name] for name in kept]
        body = "\n".join(
            " ".join(f"{value:.8g}" if value.dtype.kind == "f" else f"{value}" for value in point)
            for point in zip(*(each.ravel() for each in numbers), strict=True)
        ).encode()
    else:
        whole = b"".join(table[name].tobytes() for name in kept)
        packed = lzf(whole)
        body = struct.pack("<II", len(packed), len(whole)) + packed + bytes(4000)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + body)
    return path


def write_pcds(root: Path, num: int = 2, data: str = "binary_compressed") -> Path:
    """A folder of clouds."""
    for number in range(num):
        write_pcd(root / f"frame_{number}.pcd", cloud(metres(), colours(ROWS, COLUMNS, number)), data)
    return root
