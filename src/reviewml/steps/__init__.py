"""What is done to rows: enrichers, featurizers, trainers and models."""
