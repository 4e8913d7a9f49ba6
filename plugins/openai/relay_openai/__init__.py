"""The OpenAI dialect: what its clients send, what providers of this family answer, told in the shared vocabulary."""
