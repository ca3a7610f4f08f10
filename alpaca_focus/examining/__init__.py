"""The examination of an observatory: facts are gathered here, gently, and judged by `checkup`."""
