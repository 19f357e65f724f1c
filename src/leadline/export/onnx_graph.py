"""What stands around a network in an ONNX file, so that the file takes a picture of any size and any focal length.

The steps are those of `leadline.models.model.DepthModel.estimate`, in ONNX's own operators: the working size, the
resizing there and back, and the ratio of focal lengths. Sizes are counted in float64, as Python counts them, so that
both always see a picture at the same size. (torch's exporter knows no size that is computed from another.)
"""

from typing import Any

from leadline.backends import ERROR, FOCAL
from leadline.export.network import ANSWER, IR_VERSION, OPSET, WORKING
from leadline.geometry import MAX_RESIZED, MIN_SIDE_PX
from leadline.models import ModelSettings

BRIGHTEST = 2.0
"""Pictures in [0, 1] end at 1, or a little above after a resize; others are up to 255."""
PICTURE, DEPTH = "picture", "depth_m"
"""Names of the file's input and output; the second input is `FOCAL`."""
WITHIN = "network/"
"""Stands before all of the network's names, which may be any."""

_HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'
_FLOAT64, _INT64, _FLOAT32 = 11, 7, 1
_RESIZE = 'Resize <mode="linear", coordinate_transformation_mode="half_pixel", axes=[2, 3]'


def around(network: Any, settings: ModelSettings) -> Any:
    """Put a network's graph between the steps that make it a model.

    Args:
        network: ONNX model from `WORKING` (N, 3, h, w), RGB in [0, 1], to what
            `leadline.export.network.trace` answers.
        settings: of the model that the network is of.

    Returns:
        ONNX model from `PICTURE` (N, 3, H, W), RGB in [0, 1], to `DEPTH` (N, 1, H, W), metres, and `ERROR`
        (N, 1, H, W), the expected relative error, where the model says it. Where the model knows which focal length
        it was trained with, `FOCAL` (1,) is a second input: focal length in pixels of the pictures, NaN where unknown.
    """
    import onnx

    before = onnx.parser.parse_model(_before(settings))
    whole = onnx.compose.merge_models(before, network, [("seen", WORKING)], prefix2=WITHIN)
    ends = [(WITHIN + ANSWER, "answered"), ("size", "own_size"), ("scale", "ratio")]
    if settings.head.uncertainty:
        ends.append((WITHIN + ERROR, "expected"))
    whole = onnx.compose.merge_models(whole, onnx.parser.parse_model(_after(settings)), ends)
    versions = {entry.domain: entry.version for entry in whole.opset_import}
    del whole.opset_import[:]  # each part names its own; onnxruntime's quantiser refuses a second entry of a domain
    whole.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in versions.items())
    return whole


def _before(settings: ModelSettings) -> str:
    """The picture brought to the size at which the network sees it, its own size, and the ratio of focal lengths."""
    inputs = f"float[N,3,H,W] {PICTURE}" + (f", float[1] {FOCAL}" if settings.focal_px is not None else "")
    lines = [
        f"size = Shape <start=2, end=4> ({PICTURE})",
        f"sides = Cast <to={_FLOAT64}> (size)",
        "pixels = ReduceProd <keepdims=1> (sides)",
        f"usual_area = Constant <value = double[1] {{{settings.height * settings.width}}}> ()",
        *_size_with_area("usual", settings.multiple_px),
        *(_unknown_focal() if settings.focal_px is None else _known_focal(settings)),
        *_refusal(),
        "own_height, own_width = Split <axis=0, num_outputs=2> (size)",
        "new_height, new_width = Split <axis=0, num_outputs=2> (look_size)",
        *_averaging("down", "own_height", "new_height"),
        *_averaging("across", "own_width", "new_width"),
        "across_coarse_columns = Transpose <perm=[1, 0]> (across_coarse)",
        "across_fine_columns = Transpose <perm=[1, 0]> (across_fine)",
        f"lower_coarse = MatMul (down_coarse, {PICTURE})",
        f"lower_fine = MatMul (down_fine, {PICTURE})",
        "lower = Add (lower_coarse, lower_fine)",
        "seen_coarse = MatMul (lower, across_coarse_columns)",
        "seen_fine = MatMul (lower, across_fine_columns)",
        "seen = Add (seen_coarse, seen_fine)",
    ]
    return _graph(f"before ({inputs}) => (float[N,3,h,w] seen, int64[2] size, float[1] scale)", lines)


def _unknown_focal() -> list[str]:
    return [
        "look_size = Identity (usual_size)",
        "possible_scale = Constant <value = float[1] {1.0}> ()",
        "is_impossible = Constant <value = bool[1] {0}> ()",
    ]


def _refusal() -> list[str]:
    """A graph raises no error: what has no metres are NaN, of pictures up to 255 and of a focal length of 0."""
    return [
        f"brightest = ReduceMax <keepdims=0> ({PICTURE})",
        f"brightest_seen = Constant <value = float {{{BRIGHTEST!r}}}> ()",
        "is_too_bright = Greater (brightest, brightest_seen)",
        "has_no_metres = Or (is_too_bright, is_impossible)",
        "zero_metres = Constant <value = float[1] {0.0}> ()",
        "none = Div (zero_metres, zero_metres)",
        "scale = Where (has_no_metres, none, possible_scale)",
    ]


def _known_focal(settings: ModelSettings) -> list[str]:
    """`WorkingView.view_size`: a part of the ratio of focal lengths goes into the size, the rest into the metres."""
    return [
        f"trained = Constant <value = double[1] {{{settings.focal_px!r}}}> ()",
        "one = Constant <value = double[1] {1.0}> ()",
        f"most = Constant <value = double {{{MAX_RESIZED!r}}}> ()",
        f"least_resized = Constant <value = double {{{1 / MAX_RESIZED!r}}}> ()",
        f"share = Constant <value = double[1] {{{-2 * settings.focal_share!r}}}> ()",  # of an area, hence twice
        f"unknown = IsNaN ({FOCAL})",
        f"focal = Cast <to={_FLOAT64}> ({FOCAL})",
        *_focal_ratio("usual"),
        "ratio_or_one = Where (unknown, one, usual_ratio)",
        "within = Clip (ratio_or_one, least_resized, most)",
        "resized = Pow (within, share)",
        "exact_area = Mul (usual_area, resized)",
        "look_area = Round (exact_area)",
        *_size_with_area("look", settings.multiple_px),
        *_focal_ratio("look"),
        f"gain = Constant <value = double[1] {{{settings.focal_gain!r}}}> ()",
        "gained = Pow (within, gain)",
        "gained_ratio = Mul (look_ratio, gained)",
        "scale_or_one = Where (unknown, one, gained_ratio)",
        f"possible_scale = Cast <to={_FLOAT32}> (scale_or_one)",
        "no_length = Constant <value = double[1] {0.0}> ()",
        "is_none = LessOrEqual (focal, no_length)",
        f"is_endless = IsInf ({FOCAL})",
        "is_impossible = Or (is_none, is_endless)",
    ]


def _focal_ratio(name: str) -> list[str]:
    """Ratio of the picture's focal length, at the size NAME_size, to the training pictures'."""
    return [
        f"{name}_sides = Cast <to={_FLOAT64}> ({name}_size)",
        f"{name}_pixels = ReduceProd <keepdims=1> ({name}_sides)",
        f"{name}_times = Div ({name}_pixels, pixels)",
        f"{name}_enlargement = Sqrt ({name}_times)",
        f"{name}_focal = Mul (focal, {name}_enlargement)",
        f"{name}_ratio = Div ({name}_focal, trained)",
    ]


def _size_with_area(name: str, multiple: int) -> list[str]:
    """`leadline.geometry.resizing.size_with_area`: NAME_size, of NAME_area and with the aspect of `sides`.

    Steps become pixels as integers: few enough for bfloat16, of which pixels would be 544 instead of 546.
    """
    least = -(-MIN_SIDE_PX // multiple) * multiple
    return [
        f"{name}_multiple = Constant <value = double[1] {{{multiple}}}> ()",
        f"{name}_step = Constant <value = int64[1] {{{multiple}}}> ()",
        f"{name}_least = Constant <value = int64[1] {{{least}}}> ()",
        f"{name}_least_side = Constant <value = double[1] {{{least}}}> ()",
        f"{name}_half = Constant <value = double[1] {{0.5}}> ()",
        f"{name}_of_pixels = Div ({name}_area, pixels)",
        f"{name}_scale = Sqrt ({name}_of_pixels)",
        f"{name}_scaled = Mul (sides, {name}_scale)",
        f"{name}_longest = Div ({name}_area, {name}_least_side)",
        f"{name}_exact = Concat <axis=0> ({name}_scaled, {name}_longest)",
        f"{name}_steps = Div ({name}_exact, {name}_multiple)",
        f"{name}_up = Add ({name}_steps, {name}_half)",
        f"{name}_whole = Floor ({name}_up)",
        f"{name}_count = Cast <to={_INT64}> ({name}_whole)",
        f"{name}_multiples = Mul ({name}_count, {name}_step)",
        f"{name}_rounded = Max ({name}_multiples, {name}_least)",
        f"{name}_high, {name}_wide, {name}_long = Split <axis=0, num_outputs=3> ({name}_rounded)",
        f"{name}_is_low = Equal ({name}_high, {name}_least)",
        f"{name}_less_wide = Min ({name}_wide, {name}_long)",
        f"{name}_width = Where ({name}_is_low, {name}_less_wide, {name}_wide)",
        f"{name}_is_narrow = Equal ({name}_width, {name}_least)",
        f"{name}_less_high = Min ({name}_high, {name}_long)",
        f"{name}_height = Where ({name}_is_narrow, {name}_less_high, {name}_high)",
        f"{name}_size = Concat <axis=0> ({name}_height, {name}_width)",
    ]


def _averaging(name: str, own: str, wanted: str) -> list[str]:
    """`leadline.geometry.resizing.resize` along one side, as NAME_coarse + NAME_fine, two matrices (wanted, own).

    Each new pixel is a mean of old ones. The weights fall linearly from the new pixel's centre to where its neighbours'
    centres are, or the old ones' if those are further apart: from centres (2 own_place + 1) · wanted and
    (2 place + 1) · own, in units of 1 / (2 own · wanted) of the side, over 2 max(own, wanted) of these. All of it is
    counted in integers, for a program that takes bfloat16 where it can would round places to whole pixels and worse,
    and shares of a mean until they sum to another brightness: they are whole 65536ths, in two bytes of eight bits each.
    ONNX's own antialiasing is unknown to several of the programs that read it.
    """
    return [
        f"{name}_zero = Constant <value = int64 {{0}}> ()",
        f"{name}_one = Constant <value = int64 {{1}}> ()",
        f"{name}_two = Constant <value = int64 {{2}}> ()",
        f"{name}_first = Constant <value = int64[1] {{0}}> ()",
        f"{name}_second = Constant <value = int64[1] {{1}}> ()",
        f"{name}_num_own = Squeeze ({own})",
        f"{name}_num_wanted = Squeeze ({wanted})",
        f"{name}_own_places = Range ({name}_zero, {name}_num_own, {name}_one)",
        f"{name}_places = Range ({name}_zero, {name}_num_wanted, {name}_one)",
        f"{name}_own_twice = Mul ({name}_own_places, {name}_two)",
        f"{name}_twice = Mul ({name}_places, {name}_two)",
        f"{name}_own_odd = Add ({name}_own_twice, {name}_one)",
        f"{name}_odd = Add ({name}_twice, {name}_one)",
        f"{name}_own_centres = Mul ({name}_own_odd, {name}_num_wanted)",
        f"{name}_centres = Mul ({name}_odd, {name}_num_own)",
        f"{name}_row = Unsqueeze ({name}_own_centres, {name}_first)",
        f"{name}_column = Unsqueeze ({name}_centres, {name}_second)",
        f"{name}_apart = Sub ({name}_row, {name}_column)",
        f"{name}_far = Abs ({name}_apart)",
        f"{name}_longer = Max ({name}_num_own, {name}_num_wanted)",
        f"{name}_reach = Mul ({name}_longer, {name}_two)",
        f"{name}_left = Sub ({name}_reach, {name}_far)",
        f"{name}_weights = Max ({name}_left, {name}_zero)",
        f"{name}_sums = ReduceSum <keepdims=1> ({name}_weights, {name}_second)",
        f"{name}_byte = Constant <value = int64 {{256}}> ()",
        f"{name}_twice_bytes = Constant <value = int64 {{131072}}> ()",
        f"{name}_share_of = Mul ({name}_weights, {name}_twice_bytes)",
        f"{name}_rounded_up = Add ({name}_share_of, {name}_sums)",
        f"{name}_twice_sums = Mul ({name}_sums, {name}_two)",
        f"{name}_shares = Div ({name}_rounded_up, {name}_twice_sums)",
        f"{name}_high = Div ({name}_shares, {name}_byte)",
        f"{name}_high_part = Mul ({name}_high, {name}_byte)",
        f"{name}_low = Sub ({name}_shares, {name}_high_part)",
        f"{name}_float_high = Cast <to={_FLOAT32}> ({name}_high)",
        f"{name}_float_low = Cast <to={_FLOAT32}> ({name}_low)",
        f"{name}_high_unit = Constant <value = float {{{2**-8!r}}}> ()",
        f"{name}_low_unit = Constant <value = float {{{2**-16!r}}}> ()",
        f"{name}_coarse = Mul ({name}_float_high, {name}_high_unit)",
        f"{name}_fine = Mul ({name}_float_low, {name}_low_unit)",
    ]


def _after(settings: ModelSettings) -> str:
    """`DepthModel.finish` but for its edges: depth at the picture's own size, in the head's range, times the ratio."""
    lines = [
        f"near = Constant <value = float {{{settings.head.min_depth_m!r}}}> ()",
        f"far = Constant <value = float {{{settings.head.max_depth_m!r}}}> ()",
        f"unclamped = {_RESIZE}> (answered, , , own_size)",
        "clamped = Clip (unclamped, near, far)",
        f"{DEPTH} = Mul (clamped, ratio)",
    ]
    inputs, outputs = "float[N,1,h,w] answered, int64[2] own_size, float[1] ratio", f"float[N,1,H,W] {DEPTH}"
    if settings.head.uncertainty:
        lines.append(f"{ERROR} = {_RESIZE}> (expected, , , own_size)")
        inputs, outputs = inputs + ", float[N,1,h,w] expected", outputs + f", float[N,1,H,W] {ERROR}"
    return _graph(f"after ({inputs}) => ({outputs})", lines)


def _graph(signature: str, lines: list[str]) -> str:
    return "\n".join([_HEADER, signature, "{", *lines, "}"])
