FROM scratch
CMD ['x']
