"""What is known of notes below the metrics and the composer: the n-gram and the index of the train split."""
