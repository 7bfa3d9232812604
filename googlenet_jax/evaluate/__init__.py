"""How good a network is: metrics, test protocols, checkpoints over validation images."""
