"""The collectors that come with rscollector: each folder is a product with code, page and alerts."""
