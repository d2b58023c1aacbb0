"""What the queue is put through: kills, power cuts, long hours. What it acknowledged must stay true."""
