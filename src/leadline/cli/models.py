"""The command that lists models and recipes: models."""

from pathlib import Path

from leadline.cli.console import print_table


def models() -> int:
    """List the bundled models and the training recipes."""
    from rich.table import Table

    from leadline.models import DEFAULT, bundled_models, read_config
    from leadline.training import recipe_names

    table = Table("model", "network", "range in metres", "encoder started from", "trained on", "numbers")
    for name, folder in bundled_models().items():
        config = read_config(folder)
        record, model = config["record"], config["model"]
        tests = [f"{it['protocol']}: δ1 {it['per_image']['delta1']:.3f}" for it in record.get("tests", [])]
        table.add_row(
            f"{name} (default)" if name == DEFAULT else name,
            model["encoder"]["name"],
            f"{model['head']['min_depth_m']:g} to {model['head']['max_depth_m']:g}",
            Path(record["settings"]["model"]["encoder"]["weights"]).name,
            record["data"],
            "\n".join(tests),
        )
    print_table(table)
    print(f"recipes to train: {', '.join(recipe_names())}")
    return 0
