"""Bars of what an advert costs, as SVG."""

from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, BAR, GAP = 760, 260, 16, 14
COLOURS = {"keepvip": "#1b7f5c", "keepvip-wake": "#7cc3a8", "keepvip-raw": "#4f9fcf", "keepalived": "#b0b0b0"}


def picture(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """One group of bars per measurement that has a price per advert; logarithms, since the prices differ that much."""
    groups = {name: rows for name, rows in results.items() if rows and "us_per_advert" in next(iter(rows.values()))}
    prices = [row["us_per_advert"] for rows in groups.values() for row in rows.values() if row["us_per_advert"] > 0]
    most = max(prices, default=1.0)
    parts, y = [], 40
    for name, rows in groups.items():
        parts.append(f'<text x="8" y="{y + BAR - 4}" font-weight="bold">{escape(name)}</text>')
        for kind, row in rows.items():
            price = row["us_per_advert"]
            width = max(2.0, (WIDTH - LEFT - 90) * price / most)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{BAR}" fill="{COLOURS[kind]}"/>')
            parts.append(f'<text x="{LEFT + width + 6:.0f}" y="{y + BAR - 4}">{price:g} µs  {escape(kind)}</text>')
            y += BAR + 2
        y += GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="12">'
    )
    title = '<text x="8" y="20" font-size="14">Processor time per advert, µs (shorter is better)</text>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', title, *parts, "</svg>"]) + "\n"
