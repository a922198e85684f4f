"""MRC: images, stacks and volumes of TEMs, with the headers of EPU and SerialEM."""
