"""What people read: terminal, page, Markdown, figures, exports."""
