"""Makes orders.parquet and catalogue.parquet from the UCI file: `python datasets/online_retail/make.py online_retail.parquet`."""

import sys
from pathlib import Path

import pandas as pd

PRODUCT = r"^(\d{5}.*|DCGS.*)$"  # the rest is postage, fees, vouchers and corrections


def main(source: str) -> None:
    """Reads the original, says what it drops and why, writes both files beside this one."""
    folder = Path(__file__).resolve().parent
    rows = pd.read_parquet(source)
    rows["item_id"] = rows["StockCode"].astype(str).str.upper().str.strip()
    product = rows["item_id"].str.match(PRODUCT)
    priced = rows["UnitPrice"] > 0
    print(f"rows {len(rows)}, not a product {(~product).sum()}, product without a price {(product & ~priced).sum()}")
    rows = rows[product & priced].sort_values("InvoiceDate", kind="stable")
    orders = pd.DataFrame(
        {
            "invoice": rows["InvoiceNo"].astype(str),
            "item_id": rows["item_id"],
            "quantity": rows["Quantity"].astype("int32"),
            "time_ms": rows["InvoiceDate"].astype("datetime64[ms]").astype("int64"),
            "price": rows["UnitPrice"].astype("float32").round(2),
            "customer": rows["CustomerID"].fillna(0).astype("int32"),
        }
    )
    # lines of one invoice stay together
    orders["first"] = orders.groupby("invoice")["time_ms"].transform("min")
    orders["time_ms"] = orders.pop("first")
    orders = orders.sort_values(["time_ms", "invoice"], kind="stable").reset_index(drop=True)
    titles = rows.assign(title=rows["Description"].str.strip()).dropna(subset=["title"])
    names = titles.groupby("item_id")["title"].agg(lambda column: column.mode().iloc[0])
    prices = rows[rows["Quantity"] > 0].groupby("item_id")["UnitPrice"].agg("median").round(2)
    items = pd.DataFrame({"title": names, "price": prices}).dropna(subset=["price"])
    items["title"] = items["title"].fillna("").str.title()
    items = items.rename_axis("item_id").reset_index()
    orders.to_parquet(folder / "orders.parquet", compression="zstd", compression_level=19, index=False)
    items.to_parquet(folder / "catalogue.parquet", compression="zstd", index=False)
    print(f"lines {len(orders)}, orders {orders['invoice'].nunique()}, items {len(items)}")


if __name__ == "__main__":
    main(sys.argv[1])
