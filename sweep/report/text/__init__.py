"""Texts of the report: findings, methods, glossary."""
