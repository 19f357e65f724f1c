"""The student report's four networks with random weights, as its recipes have them."""

from leadline.models.settings import EncoderSettings, HeadSettings, ModelSettings

REPORT_HEAD = HeadSettings(kind="tanh", min_depth_m=0.5, max_depth_m=4.0)
"""The report's output: 1.75·tanh z + 2.25, in metres."""

MODELS: dict[str, ModelSettings] = {
    "cae": ModelSettings(network="cae", head=REPORT_HEAD),
    "unet": ModelSettings(network="unet", head=REPORT_HEAD),
    "xception": ModelSettings(encoder=EncoderSettings(name="legacy_xception", norm_eps=1e-3), head=REPORT_HEAD),
    "densenet": ModelSettings(encoder=EncoderSettings(name="densenet121"), head=REPORT_HEAD),
}
"""The report's four networks, with random weights."""
