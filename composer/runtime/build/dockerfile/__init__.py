"""Reading Dockerfiles: text → stages of typed instructions. Pure: nothing is looked up, expanded or run here."""
