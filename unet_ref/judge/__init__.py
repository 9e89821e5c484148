"""Link 6: is their implementation right, and if not, which bug is it?"""
