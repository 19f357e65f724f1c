"""Camera files as XML: Metashape's cameras and calibrations, OpenCV's storage."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from leadline.geometry import Lens, LensModel
from leadline.io.camera_formats import CameraFile, one_camera, parse_matrix, parse_tree, size_of

Element = ElementTree.Element

_MODELS = {"frame": LensModel.RADIAL_TANGENTIAL, "fisheye": LensModel.KANNALA_BRANDT}
"""Metashape's types of cameras that are projections of rays through one point onto a plane or by their angle."""


def parse_xml(text: str) -> CameraFile:
    """Read what Metashape (PhotoScan) or OpenCV write of a camera.

    Raises:
        ValueError: if it is no camera, or several that differ.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities of XML: leave them out")
    root = ElementTree.fromstring(text.encode())
    if root.tag == "opencv_storage":
        return parse_tree({node.tag.lower(): _value(node) for node in root})
    sensors = [root] if root.tag == "calibration" else list(root.iter("sensor"))
    found = [(sensor, _calibration(sensor)) for sensor in sensors]
    cameras = [_metashape(sensor, best) for sensor, best in found if best is not None]
    if not cameras:
        raise ValueError(f"XML of <{root.tag}> without a calibration of Metashape's")
    return one_camera(cameras)


def _value(node: Element) -> Any:
    """What OpenCV stores below a name: a matrix, a number or text."""
    text = (node.text or "").strip()
    if node.find("data") is not None:
        return {"data": [float(word) for word in (node.findtext("data") or "").split()]}
    try:
        return float(text)
    except ValueError:
        return text


def _calibration(sensor: Element) -> Element | None:
    """What the alignment found, else what it started from; None of a sensor without."""
    if sensor.tag == "calibration":
        return sensor
    found = sensor.findall("calibration")
    return next((it for it in found if it.get("class") == "adjusted"), found[0] if found else None)


def _metashape(sensor: Element, calibration: Element) -> CameraFile:
    """A calibration: the axis is told from the image's middle; older versions tell fx, fy and the axis from its edge.

    The upper left pixel's centre is (0.5, 0.5).
    """
    kind = calibration.get("type") or calibration.findtext("projection") or sensor.get("type") or "frame"
    if kind not in _MODELS:
        raise ValueError(f"a {kind} camera of Metashape's has no focal length that depth could follow: wanted a frame")
    values = {node.tag: float(node.text or "nan") for node in calibration if node.tag in _NUMBERS}
    place = next((it for it in (calibration.find("resolution"), sensor.find("resolution")) if it is not None), None)
    told = {it.tag: it.text for it in calibration} if place is None else place.attrib
    size = size_of({key: float(told[key] or "nan") for key in ("width", "height") if key in told})
    if size is None:
        raise ValueError("a calibration without its images' width and height")
    height, width = size
    if "f" in values:
        focal = values["f"] + values.get("b1", 0.0), values["f"]
        middle, skew = (width / 2, height / 2), values.get("b2", 0.0)
    else:
        focal, middle, skew = (values["fx"], values["fy"]), (0.0, 0.0), values.get("skew", 0.0)
        values["p1"], values["p2"] = values.get("p2", 0.0), values.get("p1", 0.0)
    cx, cy = (values.get(name, 0.0) + half - 0.5 for name, half in zip(("cx", "cy"), middle, strict=True))
    matrix = parse_matrix([focal[0], skew, cx, 0, focal[1], cy, 0, 0, 1])
    return CameraFile(matrix, size, _lens(kind, values))


def _lens(kind: str, values: Mapping[str, float]) -> Lens | None:
    """The distortion, in OpenCV's order, which has p1 and p2 in each other's place; another one where that lacks it."""
    k1, k2, k3, k4, p1, p2, p3, p4 = (values.get(name, 0.0) for name in _DISTORTION)
    if not any((k1, k2, k3, k4, p1, p2, p3, p4)) and kind == "frame":
        return None
    beyond = (p1, p2, p3, p4) if kind == "fisheye" else (k4, p3, p4)
    if any(beyond):
        return Lens(LensModel.OTHER, name=f"Metashape's {kind} with more coefficients than OpenCV's")
    return Lens(_MODELS[kind], (k1, k2, k3, k4) if kind == "fisheye" else (k1, k2, p2, p1, k3))


_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")
_NUMBERS = {"f", "fx", "fy", "cx", "cy", "skew", "b1", "b2", *_DISTORTION}
