"""Tests in the editor. A package, so that its tests share one browser."""
