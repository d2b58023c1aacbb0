"""The video stage: a recording and a folder of pictures become one checked MP4."""
