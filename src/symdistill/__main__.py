"""`python -m symdistill`."""

from symdistill.cli.main import main

if __name__ == "__main__":
    main()
