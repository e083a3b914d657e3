"""This room makes what people read: terminal, page, Markdown, figures and exports."""
