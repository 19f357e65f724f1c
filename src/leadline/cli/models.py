"""The command that lists models and recipes: models."""

from pathlib import Path

from leadline.cli.console import print_table, print_text


def models() -> int:
    """List the bundled models and the training recipes."""
    from leadline.models import DEFAULT, bundled_models, read_config
    from leadline.training import recipe_names

    rows = []
    for name, folder in bundled_models().items():
        config = read_config(folder)
        record, model = config["record"], config["model"]
        tests = [f"{it['protocol']}: {it['per_image']['delta1']:.3f}" for it in record.get("tests", [])]
        rows.append(
            [
                f"{name} (default)" if name == DEFAULT else name,
                model["encoder"]["name"],
                f"{model['head']['min_depth_m']:g} to {model['head']['max_depth_m']:g} m",
                Path(record["settings"]["model"]["encoder"]["weights"]).stem,
                record["data"],
                "\n".join(tests),
            ]
        )
    print_table(["model", "network", "range", "started from", "trained on", "δ1 under"], *rows)
    print_text(f"\nrecipes to train: {', '.join(recipe_names())}")
    return 0
