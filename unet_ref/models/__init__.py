"""Link 5: the networks of the seeds."""
