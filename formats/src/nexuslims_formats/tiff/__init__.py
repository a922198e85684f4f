"""TIFF files of microscopes: the tags, and the vendors who fill them."""
