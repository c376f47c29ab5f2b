"""Training walks of all lengths end most failures: what whole walks learn, and walks from 2, 10 or N/2 states on."""
