"""Frames, reports and tables on disk: read, measured, watched for."""
