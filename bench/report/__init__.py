"""This package writes reports: terminal, page, Markdown, figures and exports."""
