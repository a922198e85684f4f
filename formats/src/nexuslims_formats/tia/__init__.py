"""Files of FEI TIA: `.emi` with its `.ser` series."""
