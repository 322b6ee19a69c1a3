"""What people look at: progress bars, tables, plots, the HTML page."""
