"""An EC2 API on loopback: moto, with EBS and image backends that refuse what the real one does."""
