"""What every finished video has in common, whatever it shows."""

WIDTH, HEIGHT = 1920, 1080
FPS = 25
RATE_HZ = 48_000
CHANNELS = 2

TOLERANCE_S = 0.1
"""How far the length of a video may be from that of its recording, s."""
