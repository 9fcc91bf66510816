"""What harnesses of evaluations write becomes answers: who answered which item how well."""
