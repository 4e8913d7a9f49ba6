"""The dialect `gemini`: content generation, token counts, embeddings and models, as pure functions over Relay's vocabulary."""
