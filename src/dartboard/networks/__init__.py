"""The networks of each space, under the space's name: Supernet, Network, inherit."""
