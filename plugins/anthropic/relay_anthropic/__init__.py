"""The dialect `anthropic`: messages, token counts, batches, files and models, as pure functions over Relay's vocabulary."""
