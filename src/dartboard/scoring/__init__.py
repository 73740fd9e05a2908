"""What says how good an architecture is. The tables of accuracies: `tables`."""
