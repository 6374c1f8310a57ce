"""One cluster's move: the state table, the steps with their undo, switchover, proof, evidence."""
