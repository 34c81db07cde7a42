"""The labs of the third chapter of the book 컨테이너 인프라 환경 구축을 위한 쿠버네티스/도커,
one scenario each, in the book's order and with its own manifests (``book``)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
